"""Stands in for Slack, PagerDuty, a webhook's receiver and a mail server, and shows what they got."""
