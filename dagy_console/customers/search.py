"""What customers are searched by."""

from dagy_console.listing.language import Key, Listing

ACTIVE, SUSPENDED = "active", "suspended"

CUSTOMERS = Listing(
    page="customers:list",
    noun="customer",
    keys=(
        Key("org", "id", "Organization", parameter="org_id", example="org_123"),
        Key("name", "name", "Name", parameter="name", example="Blue*"),
        Key(
            "status", "status", "Status", facet=True, parameter="status", values=(ACTIVE, SUSPENDED), example=SUSPENDED
        ),
    ),
    time="created_at",
    tie="id",
    text="search_text",
    text_heading="Text in name or id",
    example='status:suspended  name:Blue*  after:-30d  "free text"',
)
