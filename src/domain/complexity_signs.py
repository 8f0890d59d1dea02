"""Words that tell how much work a question is: one table, from the plain to the risky.

A sign's weight is how far its first word alone moves a score from 0 to 1; each
further word of the same sign moves it less.
"""

import re
from enum import Enum
from typing import Final

from attrs import field, frozen


class Mood(Enum):
    """What a sentence wants. What it names counts by that."""

    LOOK_UP = "look up"
    EXPLAIN = "explain"
    WORK = "work"


_ALL: Final = frozenset(Mood)
_DEEP: Final = frozenset((Mood.EXPLAIN, Mood.WORK))
_WORK: Final = frozenset((Mood.WORK,))


def _words(text: str) -> re.Pattern[str]:
    """Each is a word or phrase; a trailing `-` stands for any ending of a verb or noun."""
    found = []
    for word in text.split():
        plain = word.replace("_", "[ -]")
        found.append(f"{plain[:-1]}[a-z]{{0,6}}" if plain.endswith("-") else plain)
    return re.compile(rf"\b(?:{'|'.join(found)})\b")


@frozen
class Sign:
    """``most`` of the words are counted, in sentences of these ``moods``."""

    reason: str
    pattern: re.Pattern[str] = field(converter=_words)
    weight: float
    moods: frozenset[Mood] = _ALL
    most: int = 3


BIG_WORK: Final = Sign(
    "asks for work of many parts",
    "refactor- migrat- redesign- rewrit- rearchitect- re-architect- architect "
    "restructur- implement- integrat- build design port overhaul decoupl- parallelis- "
    "paralleliz- moderni[sz]- audit consolidat- replac- roll_out introduc- "
    "convert- extract split_up split_the move_all develop- harden- re-encrypt-",
    0.42,
    _WORK,
)
SMALL_WORK: Final = Sign(
    "asks for work",
    "fix- add- write creat- chang- updat- remov- delet- renam- improv- test document- "
    "upgrad- bump- debug- optimi[sz]- clean_up mak- set_up configur- enabl- disabl- "
    "bring support- cach- validat- generat- simplif- investigat- find_out profil- speed_up "
    "reduc- deploy- rotat- restor- reproduc- review- analy[sz]- plan revok- drop- "
    "purg- encrypt- switch- handl- stop- let-",
    0.27,
    _WORK,
    4,
)
EXPLANATION: Final = Sign(
    "asks for an explanation",
    "why how explain- describ- compar- differ- trade-offs? tradeoffs? pros_and_cons "
    "walk_me summari[sz]- what_happens what_would diagnos- root_cause relat- interact-",
    0.25,
    _DEEP,
)
SCOPE: Final = Sign(
    "reaches far",
    "all every everything everywhere whole entire- across throughout system- "
    "architectur- end-to-end end_to_end codebase code_base services microservices? modules "
    "packages components backends? frontends? pipeline- platform- from_scratch both "
    "multi-[a-z]{1,12} multiple several distributed layers? adapters endpoints "
    "commands repositories teams infrastructure",
    0.18,
    _DEEP,
)
CONSTRAINTS: Final = Sign(
    "is bound by conditions",
    "without while must ensur- make_sure keeping backwards?_compat- guarant- "
    "never at_least at_most under_load concurren- race zero-downtime zero_downtime "
    "thread-safe benchmark- performance latency scalab- coverage no_downtime",
    0.14,
    _DEEP,
)
RISK: Final = Sign(
    "touches what must not go wrong",
    "secur- vulnerab- exploit- production prod payments? billing invoic- refund- money "
    "credit_cards? data_loss lost_data los[a-z]{1,3}_data authenticat- authori[sz]- "
    "credentials? passwords? secrets api_keys? encrypt- re-encrypt- gdpr hipaa pci "
    "pii complian- personal_data outage- incident- downtime zero-downtime breach- leak(?:ed|s|ing)? "
    "injection xss csrf rce cve customers?_data user_data live_database "
    "database_migrations? schema_migrations? migrat-_(?:[a-z]{1,12}_){0,3}database "
    "disaster irreversib- root_access private_keys? "
    "signing_keys? tls_certificates? permissions? sso oauth2? medical patients? "
    "safety-critical bank- ledger- transactions? backups? drop_table",
    0.3,
    _WORK,
)
SIGNS: Final = (BIG_WORK, SMALL_WORK, EXPLANATION, SCOPE, CONSTRAINTS, RISK)

_POLITE: Final = re.compile(
    r"^(?:(?:please|hi|hello|hey|ok|okay|now|so|then|also|and|just|first|finally|next|"
    r"can you|could you|would you|will you|can we|we need to|we want to|we should|"
    r"i want to|i need to|i need you to|i'd like to|i would like you to|let's|help me|"
    r"you should|your task is to|try to)[ ,:]+)+"
)
_LOOK_UP: Final = re.compile(
    r"(?:what(?:'s| is| are| was| does| do| did|) |where|who|whose|whom|when|which|"
    r"how (?:many|much|long|old|big|often)|how (?:do|can|would) (?:i|we|you) |is |are |was |"
    r"were |does |do |did |has |have |can |could |should |will |list|show|print|find the|"
    r"look up|tell me (?:what|where|which|who|when|the)|name |count|define|"
    r"give me the|translate|convert \d)"
)
_EXPLAIN: Final = re.compile(
    r"(?:why|how|explain|describe|compare|contrast|summari[sz]e|walk me|what happens|"
    r"what would|what are the (?:trade|pros|differ)|what(?:'s| is) the difference|"
    r"tell me (?:how|why|about)|help me understand|discuss|outline)\b"
)


def mood_of(sentence: str) -> Mood:
    """What a sentence in lower case wants, by how it begins."""
    start = _POLITE.sub("", sentence, count=1)
    if _EXPLAIN.match(start) and not _LOOK_UP.match(start, 0, 12):
        return Mood.EXPLAIN
    if _EXPLAIN.match(start) and start.startswith(("what", "tell")):
        return Mood.EXPLAIN
    return Mood.LOOK_UP if _LOOK_UP.match(start) else Mood.WORK
