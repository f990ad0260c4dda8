"""robots.txt: what a host allows this robot to ask for, and how often."""

from dataclasses import dataclass
from functools import cached_property

from protego import Protego


@dataclass(frozen=True)
class Robots:
    """The rules of one host for one robot. Picklable.

    Attributes:
        text: the file; empty allows everything.
        agent_name: the product name of our User-Agent.
        crawl_delay_s: time between two requests that the host asks for, s; 0 where it does not.
    """

    text: str
    agent_name: str
    crawl_delay_s: float = 0.0

    @cached_property
    def _rules(self) -> Protego:
        return Protego.parse(self.text)

    def allows(self, url: str) -> bool:
        """Whether this URL may be asked for. Source: RFC 9309 section 2.2."""
        return not self.text or self._rules.can_fetch(url, self.agent_name)

    def __getstate__(self) -> dict[str, object]:
        return {"text": self.text, "agent_name": self.agent_name, "crawl_delay_s": self.crawl_delay_s}


ALLOW_ALL = Robots("", "")


def parse_robots(text: str, agent_name: str) -> Robots:
    """The rules in a robots.txt."""
    delay_s = float(Protego.parse(text).crawl_delay(agent_name) or 0.0)
    return Robots(text, agent_name, delay_s if delay_s > 0 else 0.0)
