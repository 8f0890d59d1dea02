"""Every number that is a default, once. Seconds and bytes unless the name says otherwise."""

from collections.abc import Mapping
from typing import Any, Final

KIB: Final = 1024
MIB: Final = 1024 * KIB

# --- concurrency -----------------------------------------------------------
MAX_CONCURRENT: Final = 5
MAX_CONCURRENT_TRACKED: Final = 4
POOL_CAPACITY: Final = 72
STAGGER_DELAY: Final = 0.0
GLOBAL_TIMEOUT_FACTOR: Final = 1.5
CONTEXT_BYTES: Final = 16 * KIB  # of one dependency in a dependent prompt
ROUTES_KEPT: Final = 4096  # kinds of tasks whose route a batch remembers
JOBS_PER_TURN: Final = 256  # that end without an attempt before the loop turns
STREAM_AHEAD: Final = 64  # results that may wait for a slow consumer
MAX_DELAYED_JOBS_PER_SLOT: Final = 16

# --- ending an agent -------------------------------------------------------
GRACE: Final = 2.0
KILL_BOUND: Final = 0.4  # after the grace, before what still lives is called unkillable
DRAIN: Final = 1.0  # for left-over processes and their pipes after the leader's exit
HOST_DEATH_GRACE: Final = 0.5
LEFTOVER_GRACE: Final = 0.25  # for the rest of a family whose leader has obeyed
WATCHDOG_MARGIN: Final = 0.05  # for a keeper to say what it could not kill
LONE_SWEEPS: Final = 20  # rounds over a family that lost keeper and helper
START_BOUND: Final = 15.0  # for a keeper to answer; exec may wait for a slow disk
STARTS_AT_ONCE: Final = 8  # under way at a time, so that many don't stall the loop
STARTS_PER_TURN: Final = 2  # of the loop; each holds it until exec, 2 ms when busy
VERSION_TIMEOUT: Final = 5.0
LATE_EXIT_GRACE: Final = 5.0  # after a terminal record, for the process to end
BUDGET_GRACE: Final = 2.0  # for an agent that is just done as it passes its limit
LATE_FAILURE_GRACE: Final = 1.0  # the same, where the record says that it failed

# --- output ----------------------------------------------------------------
CAPTURE_BYTES: Final = MIB  # head and tail together, per stream
READ_BYTES: Final = 256 * KIB
WAKE_UP_BYTES: Final = MIB  # read per wake-up, so that no stream holds the loop
FOLLOW_INTERVAL: Final = 0.02  # between looks at a file that can't be watched
STDOUT_PIPE_BYTES: Final = MIB
FLOOD_BYTES: Final = 8 * MIB  # more is no answer: a wide pipe only costs cache
FLOOD_PIPE_BYTES: Final = 64 * KIB  # room left to a flood; more costs CPU and stalls
ARGV_PROMPT_BYTES: Final = 64 * KIB
MAX_SPOOL_BYTES: Final = 64 * 1024 * MIB
MAX_LINE_BYTES: Final = MIB
MAX_RECORD_BYTES: Final = 32 * MIB  # of one line of a structured stream
MAX_RECORD_DEPTH: Final = 6  # to which an error record is searched for its wording

# --- seeing failure early --------------------------------------------------
CONFIRM_AFTER_PERMANENT: Final = 0.10
CONFIRM_AFTER: Final = 0.25
SAME_MOMENT: Final = 0.02  # two pipes don't tell in which order they were written
UNNAMED_RETRY_PATIENCE: Final = 30.0
INNER_RETRY_PATIENCE: Final = 60.0  # without progress, for tools that name no other
JUDGED_TAIL_BYTES: Final = 8 * KIB
JUDGED_LINE_CHARS: Final = 4 * KIB
JUDGED_HEAD_CHARS: Final = 160
FINAL_TEXT_CHARS: Final = 64 * KIB  # of each stream, after the end
STALL_CHECK_INTERVAL: Final = 5.0
STALL_THRESHOLD: Final = 120.0
STALL_MIN_OUTPUT_BYTES: Final = 100
STALL_CHECKS: Final = 2
LANE_NEWS: Final = 60.0  # before the same refusal of a lane is told again
GATE_LOOK: Final = 1.0  # how often other processes' notices are read
SHORTEST_LOOK: Final = 0.01
SILENCE_WARNING_FRACTION: Final = 0.5
CPU_LIFE_FRACTION: Final = 0.05  # of a core since the last look: the family works
AGENT_CPU_LIFE_FRACTION: Final = 0.15  # the same, of CLIs that idle at 6 % at times
OWN_LAG: Final = 0.25  # a timer this late is our fault and is not charged to agents
TIMEOUT_EXTENSION_FACTOR: Final = 1.5

# --- retry, lanes ----------------------------------------------------------
START_AGAIN: Final = 0.1  # after a start that found no room on this machine
START_AGAIN_AT_LAST: Final = 5.0  # however often: room comes when another agent ends
FREE_RETRIES_OF_PROGRAMS: Final = 3  # after rate limits, where no deadline bounds them
RETRY_BUDGET_TOKENS: Final = 100.0
RETRY_BUDGET_COST: Final = 1.0
RETRY_BUDGET_REFUND: Final = 0.25
LANE_CUT: Final = 0.8
LANE_START_LIMIT: Final = 8
LANE_PACE_FRACTION: Final = 0.9
LANE_PACE_GROWTH: Final = 0.005
LANE_PARK_AFTER: Final = (
    120.0  # waits longer than this park a lane instead of slowing it
)
RESET_LOOK: Final = 60.0  # how often who waits for a reset asks whether it has come
RESET_TICK: Final = 0.05  # at least, so that a clock that was set back makes no haste
LANE_MAX_WAIT: Final = 7 * 86400.0  # nothing that a backend says is believed further
LANE_UNKNOWN_RESET: Final = 3600.0  # a quota that names no reset is asked again then
RESET_JUST_PASSED: Final = (
    60.0  # "resets 3pm" read so long after three is no day to wait
)
LANE_FIRST_PACE: Final = 10.0  # starts per second while no delivery is measured
LANE_PACE_FLOOR: Final = 1 / 60
LANE_DELIVERIES: Final = 64  # the window over which delivery is measured
LANE_MIN_DELIVERIES: Final = 5
LANE_IDLE: Final = 5.0  # a pause of demand this long starts a new measurement
LANE_RATE_NEWS: Final = 60.0  # how long another process's pace is worth anything
LANE_BREAKER_FRACTION: Final = 0.95
LANE_BREAKER_MIN: Final = 20
LANE_BREAKER_WINDOW: Final = 50
LANE_BREAKER_OPEN: Final = 10.0
LANE_BREAKER_OPEN_MAX: Final = 30.0
LANE_AUTH_FAILURES: Final = 3
LOGIN_PROBE: Final = 30.0  # how long others wait for one, once a login was refused

# --- circuit breaker -------------------------------------------------------
BREAKER_FAILURE_THRESHOLD: Final = 2
BREAKER_RESET_TIMEOUT: Final = 120.0
BREAKER_FAILURE_WINDOW: Final = 300.0
BREAKER_ADHOC_FAILURE_THRESHOLD: Final = 4
BREAKER_FAST_FAIL_THRESHOLD: Final = 2
BREAKER_FAST_FAIL_WINDOW: Final = 10.0
BREAKER_ADHOC_FAST_FAIL_WINDOW: Final = 30.0
BREAKER_COHORT: Final = 20
BREAKER_FAILURE_FRACTION: Final = 0.5
BREAKER_MAX_AGENTS: Final = 10_000
BREAKER_PROBE_LEASE: Final = 3600.0

# --- agents that are asked at once ---------------------------------------------
AGENT_TIMEOUT: Final = 300.0
HALT_LOOK: Final = 0.1  # between looks at a halt that can't tell by itself
HALT_REASON_BYTES: Final = 4 * KIB
HALT_ANSWER: Final = 5.0  # for a halt checker to say something; silence is a halt

# --- models asked over HTTP ------------------------------------------------
SERVER_PROBE: Final = 0.1  # for a model server of this machine to show itself
SERVER_PROBE_BYTES: Final = 256 * KIB
MODEL_CONNECT: Final = 10.0
MODEL_ANSWER_BYTES: Final = 16 * MIB  # longer is no answer but a broken server
CREWS_COMPUTING: Final = 1  # at a time; two in one interpreter cost each other half
MODEL_ERROR_CHARS: Final = 500  # of what a server says of itself

# --- journal ---------------------------------------------------------------
JOURNAL_BUSY: Final = 8.0  # for another process to let go of the journal
JOURNAL_CHECKED_BYTES: Final = 32 * MIB  # a bigger one is checked as it is read
PLAN_INDEXED: Final = 2_000  # tasks; a smaller plan is read anew in no time
HOST_DEATHS: Final = 3  # in a row with the same task running: it is not run again

# --- councils --------------------------------------------------------------
COUNCIL_CHOICES: Final = ("approve", "reject")
COUNCIL_RULE: Final = "majority"
COUNCIL_SUPERMAJORITY: Final = "2/3"
COUNCIL_QUORUM: Final = "majority"  # more than half of the members
COUNCIL_ROUNDS: Final = 6  # three to deliberate, and up to three votes
COUNCIL_MAX_ROUNDS: Final = 100
COUNCIL_MEMBERS: Final = 1000
COUNCIL_NAME_CHARS: Final = 80
COUNCIL_OWN_CHARS: Final = 8 * KIB  # of what a member said itself, in its prompt
COUNCIL_OTHERS_CHARS: Final = 48 * KIB  # of what all others said together
COUNCIL_OTHER_CHARS: Final = 4 * KIB  # of one of them, at most
COUNCIL_OTHER_LEAST: Final = 240  # less is no argument: then fewer of them are shown
BALLOT_CHARS: Final = 64 * KIB  # of the end of an answer, where its vote is looked for
BALLOT_TRIES: Final = 256  # places there at which an object may begin
BALLOT_REASON_CHARS: Final = 1000
BALLOT_SHOWN: Final = 120

# --- questions to a fleet --------------------------------------------------
MEDIUM_FROM: Final = 0.25  # score of a question; below it is simple
COMPLEX_FROM: Final = 0.55
CRITICAL_FROM: Final = 0.85
ASSESSED_CHARS: Final = 16 * KIB  # of a question; more says nothing new of its kind
MAX_SUBGOALS: Final[Mapping[str, int]] = {
    "SIMPLE": 0,
    "MEDIUM": 2,
    "COMPLEX": 4,
    "CRITICAL": 6,
}
MAX_CHUNKS: Final[Mapping[str, int]] = {
    "SIMPLE": 5,
    "MEDIUM": 10,
    "COMPLEX": 15,
    "CRITICAL": 20,
}

# --- from a question to an answer -------------------------------------------
SOAR_QUERY_CHARS: Final = 32 * KIB  # what is longer is material, and belongs in a file
SOAR_MAX_CONCURRENT: Final = 10
SOAR_MATERIAL_CHARS: Final = 32 * KIB  # of all retrieved chunks, in one prompt
SOAR_OUTPUTS_CHARS: Final = 96 * KIB  # of all subgoals' answers together, likewise
SOAR_DESCRIPTION_CHARS: Final = 4 * KIB
SOAR_PROBLEMS_NAMED: Final = 8
SOAR_AGENTS_NAMED: Final = 60  # profiles that a model is shown to choose from
SOAR_CAPABILITY_MATCH: Final = 0.4  # of the wanted words, for a profile to be meant
SOAR_LIKENESS: Final = 0.5  # of two questions, for one's pattern to be shown
SOAR_CACHED: Final = 0.5  # confidence from which an answer is given again
SOAR_PATTERN: Final = 0.8  # and its way there is shown for questions like it
SOAR_WITHOUT_CRITICAL: Final = 0.49
SOAR_UNSTRUCTURED: Final = 0.3  # of an answer that says nothing of its confidence
SOAR_PATTERNS_KEPT: Final = 200
SOAR_CONTEXT_FILES: Final = 100

# --- what questions are answered from ----------------------------------------
SOURCE_BYTES: Final = MIB  # of a file of the project; a bigger one is data
NAMED_BYTES: Final = 8 * MIB  # of a file that was named with a question
SOURCES: Final = 100_000  # files of a project
NAMED_KEPT: Final = 64  # files from elsewhere, in the index of a project
CHUNK_LINES: Final = 50
CHUNK_CHARS: Final = 3 * KIB
CHUNK_LEAST: Final = 15  # lines; a smaller section stays with its neighbour
CHUNK_OVERLAP: Final = 4  # lines repeated where a section is cut
INDEX_SLICE: Final = 0.2  # of work in the index's thread and of one transaction
INDEX_CACHE: Final = 32 * MIB
INDEX_FRESH: Final = 2.0  # before files are looked at again by the same process
INDEX_BUSY: Final = 8.0  # for another process to let go of the index
LISTING_TIMEOUT: Final = 30.0  # for git to name the files
QUERY_CHARS: Final = 64 * KIB  # of a question, searched for words
QUERY_TERMS: Final = 32
SEARCHED_CHUNKS: Final = (
    15_000  # that hold words of a question; ranking 1,000 takes 1 ms
)
RANKED_CHUNKS: Final = 500  # of them, for no file to fill an answer alone
PATH_WEIGHT: Final = 3.0  # of a word in a file's path, to one in its text
TITLE_WEIGHT: Final = 2.0  # of a word in a heading or a definition
NAMED_BOOST: Final = 1.5  # for files that were named with the question

# --- safety ----------------------------------------------------------------
MAX_DEPTH: Final = 4
ENVIRONMENT: Final = (
    "PATH HOME LANG LANGUAGE LC_* TERM TMPDIR USER LOGNAME SHELL TZ "
    "HTTP_PROXY HTTPS_PROXY NO_PROXY ALL_PROXY http_proxy https_proxy no_proxy "
    "all_proxy SSL_CERT_FILE SSL_CERT_DIR"
)
SECRET_WORDS: Final = ("KEY", "TOKEN", "SECRET", "PASSWORD")

_PROGRESSIVE: Final = {"mode": "progressive", "initial_timeout": 120.0}

SPAWN_POLICIES: Final[Mapping[str, Mapping[str, Any]]] = {
    "default": {
        "timeout": _PROGRESSIVE
        | {
            "max_timeout": 300.0,
            "extension_threshold": 10.0,
            "first_output_timeout": 120.0,
            "no_activity_timeout": 30.0,
        },
        "retry": {"max_attempts": 3, "base_delay": 1.0, "max_delay": 60.0},
    },
    "production": {
        "timeout": _PROGRESSIVE
        | {
            "max_timeout": 600.0,
            "extension_threshold": 15.0,
            "first_output_timeout": 120.0,
            "no_activity_timeout": None,
        },
        "retry": {"max_attempts": 3, "base_delay": 2.0, "max_delay": 120.0},
    },
    "fast_fail": {
        "timeout": {
            "mode": "fixed",
            "timeout": 60.0,
            "first_output_timeout": 15.0,
            "no_activity_timeout": 15.0,
        },
        "retry": {"max_attempts": 1, "strategy": "immediate"},
    },
    "patient": {
        "timeout": _PROGRESSIVE
        | {
            "max_timeout": 600.0,
            "extension_threshold": 10.0,
            "first_output_timeout": 120.0,
            "no_activity_timeout": 120.0,
        },
        "retry": {"max_attempts": 2, "base_delay": 2.0, "max_delay": 30.0},
    },
    "development": {
        "timeout": {
            "mode": "fixed",
            "timeout": 1800.0,
            "first_output_timeout": None,
            "no_activity_timeout": None,
        },
        "retry": {"max_attempts": 1, "strategy": "immediate"},
        "breaker_enabled": False,
        "termination": {"enabled": False},
    },
    "test": {
        "timeout": {
            "mode": "fixed",
            "timeout": 30.0,
            "first_output_timeout": 10.0,
            "no_activity_timeout": 10.0,
        },
        "retry": {"max_attempts": 1, "strategy": "immediate"},
        "breaker_enabled": False,
    },
}
SPAWN_POLICY: Final = "default"
TRACKED_POLICY: Final = "patient"

RECOVERY_POLICIES: Final[Mapping[str, Mapping[str, Any]]] = {
    "default": {
        "max_retries": 2,
        "fallback_to_llm": True,
        "base_delay": 1.0,
        "max_delay": 30.0,
        "backoff_factor": 2.0,
    },
    "aggressive_retry": {
        "max_retries": 5,
        "fallback_to_llm": False,
        "base_delay": 0.5,
        "max_delay": 60.0,
        "backoff_factor": 2.0,
    },
    "fast_fallback": {"max_retries": 0, "fallback_to_llm": True},
    "no_recovery": {"max_retries": 0, "fallback_to_llm": False},
    "patient": {
        "max_retries": 3,
        "fallback_to_llm": True,
        "base_delay": 2.0,
        "max_delay": 120.0,
        "backoff_factor": 3.0,
    },
}

# --- field defaults of the policies themselves -----------------------------
TIMEOUT: Final = 300.0
INITIAL_TIMEOUT: Final = 120.0
MAX_TIMEOUT: Final = 300.0
EXTENSION_THRESHOLD: Final = 10.0
FIRST_OUTPUT_TIMEOUT: Final = 120.0
NO_ACTIVITY_TIMEOUT: Final = 30.0
MAX_ATTEMPTS: Final = 3
MAX_RETRIES: Final = 2
BASE_DELAY: Final = 1.0
MAX_DELAY: Final = 60.0
RECOVERY_MAX_DELAY: Final = 30.0
BACKOFF_FACTOR: Final = 2.0
