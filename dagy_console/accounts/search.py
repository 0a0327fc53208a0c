"""What the lists of accounts are searched by."""

from dagy_console.listing.language import Key, Listing

IMPERSONATIONS = Listing(
    page="accounts:impersonations",
    noun="impersonation",
    keys=(
        Key("by", "by", "Super admin", facet=True, parameter="impersonator", example="ann@example.com"),
        Key("user", "whom", "Person", facet=True, parameter="user", example="bob@example.com"),
        Key("state", "state", "State", facet=True, parameter="state", values=("active", "ended"), example="active"),
    ),
    time="started_at",
    tie="id",
    text="reason",
    text_heading="Text in the reason",
    example='state:active  by:ann@example.com  after:-7d  "free text"',
)
