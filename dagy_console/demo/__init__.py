"""A believable platform for a first look: organizations, people, and a week of traces with an incident in it."""
