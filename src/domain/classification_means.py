"""Texts that say: not enough of something. Memory, disk, context, allowance, money, pace.

The first third of the table; `classification_table` says what the order means.
"""

from typing import Final

from muster.domain.classification_row import Row, status

_LIMIT_WORDS: Final = (
    r"(?:session|usage|message|weekly|daily|monthly|hourly|5-hour|\d+-(?:hour|day)|opus"
    r"|sonnet|plan|spend(?:ing)?|spending cap|budget|extra usage)"
)
_PERIOD: Final = r"(?:per[- _]?(?:day|week|month)|daily|weekly|monthly)"
ROWS: Final[tuple[Row, ...]] = (
    # --- said to be no quota ------------------------------------------------
    Row(
        "not_your_limit",
        "rate_limit",
        "not your usage",
        r"not your usage limit",
        says_so=True,
    ),
    # --- the machine --------------------------------------------------------
    Row(
        "disk_full",
        "disk_full",
        "enospc|space left|disk|quota exceeded",
        r"\bENOSPC\b|no space left on device|\bdisk (?:is )?full\b|database or disk is full"
        r"|not enough (?:free )?(?:disk )?space|out of disk space|disk quota exceeded"
        r"|\bEDQUOT\b",
        says_so=True,
    ),
    Row(
        "out_of_memory",
        "out_of_memory",
        "memory|heap|oom|enomem|malloc|bad_alloc|out of|allocation",
        r"\b(?:java(?:script)? )?heap out of memory|reached heap limit|out of memory"
        r"|near heap limit|\bENOMEM\b|cannot allocate memory|can't allocate memory"
        r"|\bMemoryError\b|\boom[-_ ]?kill(?:ed|er)\b|\bOutOfMemory(?:Error)?\b"
        r"|memory (?:limit (?:was )?(?:exceeded|reached)|allocation (?:of [\w ]+)?failed"
        r"|exhausted)|std::bad_alloc|\bFatalOOM\b|insufficient memory|requires more (?:\w+ )?memory"
        r"|enough (?:\w+ ){0,2}memory|array buffer allocation failed|CUDA_ERROR_OUT_OF_MEMORY",
    ),
    Row(
        "handles_exhausted",
        "out_of_memory",
        "emfile|enfile|too many open|descriptors|temporarily|eagain|fork|can't start new",
        r"\b(?:EMFILE|ENFILE)\b|too many open files|no file descriptors available"
        r"|fork:? (?:retry: )?(?:resource temporarily unavailable|cannot allocate)"
        r"|\bfork\b.{0,40}\bEAGAIN\b|spawn\w*\b.{0,60}\bEAGAIN\b|can't start new thread"
        r"|resource temporarily unavailable|cannot fork\b"
        r"|unable to create (?:new )?(?:native )?thread",
        says_so=True,
    ),
    Row(
        "shared_state_busy",
        "overloaded",
        "database|locked|sqlite|statement|failed query|lock",
        r"database (?:file |table )?is locked|\bSQLITE_BUSY\b|failed to execute statement"
        r"|failed query: ?(?:create|alter|pragma|insert|begin)"
        r"|could not (?:obtain|acquire) (?:file )?lock|lock (?:file )?is (?:already )?held"
        r"|another (?:process|instance) (?:is|holds)",
        says_so=True,
    ),
    Row(
        "locking_unsupported",
        "invalid_request",
        "locking protocol",
        r"locking protocol",
        says_so=True,
    ),
    # --- TLS trust: says "connection error", never heals by waiting ----------
    Row(
        "tls_trust",
        "invalid_request",
        "certificate|self_signed|self signed|self-signed|cert_|_cert|x509|unable_to",
        r"self[-_ ]signed[-_ ]cert|certificate (?:verify|verification) failed"
        r"|certificate[-_ ](?:has[-_ ])?expired|\bCERT_(?:HAS_EXPIRED|UNTRUSTED"
        r"|NOT_YET_VALID|SIGNATURE_FAILURE|REVOKED)\b|\bERR_TLS_CERT_\w+"
        r"|unable to (?:verify|get) (?:the first |local )?(?:issuer )?certificate"
        r"|UNABLE_TO_(?:VERIFY|GET)_\w+|\bDEPTH_ZERO_SELF_SIGNED_CERT\b"
        r"|x509: |invalid peer certificate|unknown(?: certificate)? (?:issuer|authority)"
        r"|hostname/ip does not match certificate",
        says_so=True,
    ),
    # --- the prompt or the answer is too long ---------------------------------
    Row(
        "request_too_large",
        "invalid_request",
        "413|too large|too_large|payload|entity|too long|too big|maximum length|e2big"
        "|exceeds the m",
        r"request(?:_| )?(?:entity |body |payload )?(?:is )?too[ _]large"
        r"|payload (?:size )?(?:is )?(?:too large|exceeds)|entity too large"
        r"|argument list too long|\bE2BIG\b|(?:input|message) exceeds the maximum (?:length"
        r"|size) of [\d,]+ (?:characters|bytes)|(?:stdin|input|file) (?:is )?too (?:large|big)"
        r"|exceeds the \d+ ?[kmg]i?b limit|"
        + status("413", "request", "payload", "content"),
        says_so=True,
    ),
    Row(
        "context_length",
        "context_length",
        "context|token|prompt is too|prompt too|input is too|too long|max seq len",
        r"context[-_ ]length[-_ ]exceeded|(?:maximum|max|model's) context (?:length|window|size)"
        r"|prompt (?:is )?too long|input (?:is )?too long|context (?:window|length|size|limit)"
        r"(?: (?:is|was|has been))? ?(?:exceeded|exceeds|exhausted|overflow|full)|max seq len \(\d+\) is larger"
        r"|exhausted context window|(?:exceed\w*|larger than|longer than|ran out of room in"
        r"|too (?:long|large|big) for)\b.{0,40}\bcontext(?: window| length| size)?"
        r"|\bContextOverflow(?:Error)?\b|\bContextWindowExceeded\w*"
        r"|(?:input|prompt) (?:token|length).{0,40}exceed|exceeds? the maximum (?:number of"
        r" |allowed )?(?:input )?tokens?|too many (?:input |total )?tokens\b(?!,? (?:per|please wait))"
        r"|reduce the length of (?:the|your) (?:messages|prompt|input)"
        r"|has hit a token limit|tokens? > \d+ maximum",
        says_so=True,
    ),
    Row(
        "answer_cut",
        "output_invalid",
        "max_output_tokens|max_tokens|output token|length limit|finish_reason",
        r"(?<!fewer )max_(?:output_|completion_)?tokens\b|output token (?:limit|maximum)"
        r"|(?:response|answer|output) (?:was )?(?:truncated|cut off)"
        r"|exceeded the \d+ output token",
    ),
    # --- refused for what it is ----------------------------------------------
    Row(
        "content_filter",
        "forbidden",
        "content|safety|policy|policies|blocked|prohibited|recitation|suspicious|flagged"
        "|refus",
        r"content[-_ ]?(?:filter|policy|management)|\bContentFilter\w*|safety (?:settings|filter"
        r"|reasons|system|policy|policies|guidelines)|usage polic(?:y|ies)"
        r"|violat\w+ (?:of )?(?:our|the|their)? ?(?:\w+ ){0,3}(?:polic(?:y|ies)|terms)"
        r"|(?:prompt|response|request|content|output|message) (?:was |has been |is )?(?:blocked"
        r"|flagged|prohibited)|blocked (?:by|due to|for|because)|PROHIBITED_CONTENT"
        r"|block_?reason|suspicious activity|\brecitation\b|(?:model|assistant) refused"
        r"|reason: ?(?:refusal|safety)|stop_reason\W{1,4}refusal",
    ),
    Row(
        "country",
        "forbidden",
        "country|region|territory|location",
        r"(?:country|region|territory|location)\b.{0,30}\bnot (?:supported|available|allowed)"
        r"|unsupported_country|not available in your (?:country|region|location)",
        says_so=True,
    ),
    Row(
        "account_disabled",
        "forbidden",
        "account|organization|organisation|workspace|access",
        r"(?:organi[sz]ation|admin(?:istrator)?|owner) has (?:disabled|blocked|restricted|paused)\b"
        r"|access (?:is |was |has been )?paused|must be a member of an organi[sz]ation"
        r"|(?:account|organi[sz]ation|workspace|project)\b.{0,40}\b(?:has been |was |is )"
        r"(?:disabled|suspended|banned|deactivated|terminated|blocked|restricted)"
        r"|access to .{1,80} has been (?:temporarily )?(?:limited|restricted|suspended)",
        says_so=True,
    ),
    # --- a named period's allowance, money ------------------------------------
    Row(
        "allowance_used_up",
        "quota",
        "limit|quota|usage|capacity|requests|allowance",
        rf"\b(?:hit|reached|exceeded|exhausted|used(?: up)?|over|at|out of|past|used all(?: of)?)"
        rf" (?:your|the|their|my|this|all(?: of)? your|its)(?: [\w'.-]{{1,30}}){{0,2}}"
        rf" {_LIMIT_WORDS}(?: rate)?(?: limits?)?\b(?! (?:to|for) (?:the )?(?:tokens|requests) per min)"
        r"|\b(?:hit|reached|exceeded) your (?:(?!rate|tokens?\b|requests?\b|[tr]pm)[\w.'-]{1,20} ){0,4}limit\b"
        r"|\ballowance (?:has been |is |was )?(?:exceeded|used up|exhausted|reached)"
        rf"|\b{_LIMIT_WORDS} (?:limit|quota|cap|allowance|credits?)s?"
        r"(?: (?:has been|is|was|have been))? ?(?:reached|exceeded|exhausted|used up|hit)"
        r"|\bkey limit exceeded|\b(?:free|included|plan) usage (?:has been |is )?(?:exceeded|exhausted|used up)"
        r"|\bout of (?:extra )?usage\b|\busage[_ ]limit[_ ](?:reached|exceeded)"
        rf"|{_PERIOD}[- _]?(?:\w+ )?(?:quota|limit|allowance)\b.{{0,30}}(?:exceed|reach|exhaust|hit)"
        rf"|(?:exceed|reach|exhaust|hit)\w*\b.{{0,60}}\b{_PERIOD}\b"
        r"|\bexhausted your (?:daily )?(?:quota|capacity)|quota will reset"
        r"|\blimit (?:will )?resets? (?:at|on|in|after)\b|limit reached ?\| ?\d{10}"
        r"|limit reached[^a-z]{1,5}resets? ",
        says_so=True,
    ),
    Row(
        "no_money",
        "quota",
        "quota|credit|trial|billing|payment|balance|402|funds|insufficient|spend|hard limit|purchase"
        "|recharge|top up|余额|欠费|额度|配额",
        r"credit balance (?:is )?too low|(?:insufficient|not enough|no more|out of|no)"
        r"[-_ ](?:\w+[-_ ])?(?:credits?|funds|balance|quota)\b|balance (?:is )?(?:insufficient|exhausted|empty)"
        r"|requires? billing|(?:recharge|top up) your|余额不足|欠费|(?:额度|配额)(?:已|不足|用完|超)|payment[_ ]required"
        r"|billing (?:is |details |account )?(?:required|disabled|not (?:enabled|active))"
        r"|billing[_ ](?:hard[_ ])?(?:limit|not[_ ]active)|credits? (?:have |has )?(?:been )?"
        r"(?:exhausted|depleted|used up|run out|expired)|add (?:more |\d+ )?credits"
        r"|requires? (?:more )?credits|(?:purchase|buy) (?:more )?credits|prepa(?:id|yment)"
        r" .{0,30}(?:depleted|exhausted)|negative balance|trial (?:has |is )?(?:ended|expired|over)|billing account"
        r" (?:is )?inactive|add a payment method|unpaid invoice|spending (?:limit|cap)"
        r"|" + status("402", "payment", "billing", "insufficient"),
        says_so=True,
    ),
    # "Quota exceeded" with seconds to wait is the quota of a minute.
    Row(
        "minute_quota",
        "rate_limit",
        "quota|exhausted",
        r"(?:quota|RESOURCE_EXHAUSTED|resource has been exhausted)\b.{0,400}?"
        r"(?:\bretry(?:ing)? in \d|\btry again in \d|retry[-_ ]?after\W{0,4}\d|retryDelay\W{1,5}\d)"
        r"|attempt \d+ failed with status 429.{0,10}retrying"
        r"|quota\w*\b.{0,60}\bper[- _]?(?:project[- _]?per[- _]?)?min(?:ute)?\b",
        says_so=True,
    ),
    # A change of model is a detour that the program takes by itself.
    Row(
        "detour",
        "rate_limit",
        "possible quota",
        r"possible quota limitations",
        says_so=True,
    ),
    Row(
        "quota",
        "quota",
        "quota|exhausted",
        r"quota[-_ ]?(?:has been |is |was )?(?:exceeded|exhausted|reached|used up|depleted)"
        r"|quotaExceeded|(?:exceed(?:s|ed|ing)?|exhausted|over|no|reached|out of|used up)"
        r"(?: (?:your|the|its|all|my|this|you|current|available|free|allocated|monthly"
        r"|project(?:'s)?|have)){0,4} quota\b"
        r"|resource has been exhausted|\bRESOURCE_EXHAUSTED\b|\bTerminalQuotaError\b"
        r"|\bQuota(?:Exceeded|Limit|Exhausted)\w*|have no quota|insufficient quota",
        says_so=True,
    ),
    # --- 429 ------------------------------------------------------------------
    Row(
        "rate_limit",
        "rate_limit",
        "rate|limit|throttl|too many|slow down|tpm|rpm|1015|concurren|过多|频繁|限流|速率|并发",
        r"rate[-_ ]?limit(?:s|ing)? (?:is |was |has been |have been |error: )?(?:exceeded|reached"
        r"|hit|error|exhausted)|rate[-_]?limit[-_]?(?:error|exceeded|reached)|\brate[-_ ]?limited"
        r"|\bRateLimit(?:Error|Exceeded|ed)\w*|\bTooManyRequests\w*|\btoo[-_ ]many[-_ ]"
        r"(?:concurrent )?(?:requests|connections|tries|attempts)|(?:exceed\w*|hit|reached|over"
        r"|due to|because of) (?:\w+(?:'s)? |an? |the |your ){0,4}rate[-_ ]?limit"
        r"|\bthrottl(?:ed|ing)(?:exception|error)?\b|\bThrottlingException\b|please slow down"
        r"|(?:requests?|tokens?) per (?:min(?:ute)?|second|hour)\b.{0,60}limit|limiting requests"
        r"|error code: 1015|concurrency limit|request limit (?:exceeded|reached)"
        r"|请求过多|请求(?:过于|太)频繁|限流|速率限制|并发.{0,6}(?:过高|超过|限制)",
        says_so=True,
    ),
    Row("quota_word", "quota", "quota", r"\bquota (?:error|limit|failure)\b"),
    Row(
        "status_429",
        "rate_limit",
        "429",
        status("429", "too many", "rate", "free", "resource", "you", "client"),
    ),
    Row(
        "rate_limit_word",
        "rate_limit",
        "rate limit|rate_limit|rate-limit|ratelimit",
        r"\brate[-_ ]?limits?\b(?! ?[:=]? ?\d| (?:of|is \d|remaining|reset|window|per))",
    ),
    # --- overloaded ---------------------------------------------------------------
    Row(
        "overloaded",
        "overloaded",
        "overload|capacity|high demand|529|busy|heavy load|unavailable_error|high load|繁忙|过载",
        r"overloaded(?:_error)?\b(?! (?:method|function|operator))|\bhigh demand\b|at capacity"
        r"|\b(?:capacity|engine|server|model|service) (?:is |are )?(?:currently |temporarily )?"
        r"(?:constraints?|overload\w*|busy|exhausted|exceeded)|no capacity available"
        r"|(?:heavy|high) (?:load|traffic)|服务.{0,6}(?:繁忙|过载)|"
        + status("529", "overloaded"),
        says_so=True,
    ),
)
