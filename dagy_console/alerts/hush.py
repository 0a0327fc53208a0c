"""Which silences hold, and what they keep quiet."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from dagy_console.alerts.matching import matches
from dagy_console.alerts.models import Alert, Rule, Silence
from dagy_console.listing.language import Term


@dataclass(frozen=True, slots=True)
class Hush:
    """The silences that hold at one moment."""

    silences: Sequence[Silence] = ()

    def over(self, rule: Rule, alert: Alert) -> Silence | None:
        """The one that keeps the alert quiet: of its rule's organization, or of the platform for the platform's."""
        for silence in self.silences:
            if silence.organization_id == rule.organization_id and matches(facts(rule, alert), terms(silence)):
                return silence
        return None


def at(now: datetime) -> Hush:
    return Hush(list(Silence.objects.filter(starts_at__lte=now, until__gt=now).order_by("created_at")))


def facts(rule: Rule, alert: Alert) -> dict[str, str]:
    """What a silence can go by."""
    return {"org": rule.org_id, **alert.dimensions, "rule": rule.name, "severity": rule.severity}


def terms_of(alert: Alert) -> list[Term]:
    """What a silence of this alert, and of those that come after it, goes by."""
    return [Term("rule", alert.rule.name), *(Term(key, value) for key, value in alert.dimensions.items() if value)]


def terms(silence: Silence) -> list[Term]:
    return [Term(one["key"], one["value"], one.get("negated", False)) for one in silence.matchers]
