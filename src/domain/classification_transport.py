"""Texts that say: it broke on the way. Gateways, timeouts, networks, garbled and empty answers.

The last third of the table; `classification_table` says what the order means.
"""

from typing import Final

from muster.domain.classification_row import Row, status

ROWS: Final[tuple[Row, ...]] = (
    # --- timeouts, before the network that they also name -------------------------------
    Row(
        "gateway",
        "server_error",
        "server|serviceunav|500|502|503|504|520|521|522|523|524|525|526|530|bad gateway|gateway time|service "
        "|internal|server had|server_error|servererror",
        r"bad gateway|gateway time-?(?:d[- ])?out|service (?:is )?(?:temporarily |currently )?unavailable"
        r"|internal[-_ ]?server[-_ ]?error|server had an error|\bserver_error\b|\bInternalServerError\b"
        r"|\bServiceUnavailable\w*|internal error (?:has )?occurred|\bAPI internal error"
        r"|\binternal (?:service )?error\b|server-side issue|server error\b"
        r"|"
        + status(
            "500|502|503|504|50[5-9]|52[0-7]|530",
            "internal",
            "bad",
            "service",
            "gateway",
            "server",
            "web server",
            "an? ",
        ),
        says_so=True,
    ),
    Row(
        "idle_timeout",
        "timeout",
        "timeout",
        r"idle timeout|UND_ERR_(?:HEADERS|BODY)_TIMEOUT|\b(?:headers|body) timeout error",
        says_so=True,
    ),
    Row(
        "timeout",
        "timeout",
        "time|deadline|etimedout|took too long",
        r"(?:request|response|operation|read|headers?|connection attempt|call|agent|stream|query|it"
        r"|model|idle|tool|process|command|api|body|turn)s? (?:has |have |was )?timed[- ]out"
        r"|\btimed[- ]out (?:after|waiting|while|\()|deadline (?:was )?exceeded|DEADLINE_EXCEEDED"
        r"|took too long to (?:process|respond|complete)|\b(?:API|Model|Gateway|Read|Request|Connect|Header|Body|Provider\w*|Headers|API(?:Connection)?)?Timeout"
        r"(?:Error|Exception|Expired)\b|\btimeout (?:exceeded|expired|reached|of \d+)|UND_ERR_(?:HEADERS"
        r"|BODY)_TIMEOUT|request[-_ ]timeout|idle timeout|timed out\b[.!]?$|"
        + status("408", "request"),
    ),
    # --- bad requests by name, before garbled streams --------------------------------------
    Row(
        "bad_request",
        "invalid_request",
        "400|405|406|415|422|bad request|invalid_request|invalid request|invalid_argument|invalid value"
        "|unprocessable|must not be empty|badrequest|unsupported|validation|failed_precondition",
        r"bad[-_ ]request\b|\bBadRequest\w*|invalid[-_ ]request(?:_error)?\b|\bINVALID_ARGUMENT\b"
        r"|invalid (?:value|type|input|schema|parameter|json payload) (?:for|provided|received)"
        r"|\bValidationException\b|\bFAILED_PRECONDITION\b|unprocessable (?:entity|content)|must not be empty|\bvalidation (?:error|failed)"
        r"|\bunsupported (?:value|parameter|media type)|"
        + status(
            "400|405|406|411|414|415|416|422",
            "bad",
            "invalid",
            "method",
            "unprocessable",
            "unsupported",
        ),
    ),
    # Whoever read the output went away: the pipe is ours, not the network's.
    Row(
        "reader_gone",
        "unknown",
        "stdout",
        r"stdout\b.{0,40}(?:broken pipe|EPIPE)",
        says_so=True,
    ),
    # --- network -----------------------------------------------------------------------------
    Row(
        "network",
        "network",
        "interrupted|broken pipe|closed|aborted|connect|econn|enotfound|eai_again|network|socket|dns|resolve|name or service|epipe|fetch"
        "|premature|eof|goaway|reply|tunnel|网络|reach|look|request|ssl|tls|etimedout|host|offline|internet|hang up|disconnected|und_err|proxy|terminated|stream",
        r"\b(?:ECONNREFUSED|ECONNRESET|ECONNABORTED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH"
        r"|ENETDOWN|EPIPE|ETIMEDOUT|ERR_NETWORK|UND_ERR_\w+|ERR_SOCKET\w*|ConnectionRefused|FailedToOpenSocket)\b"
        r"|connection (?:was |is |has been |attempt )?(?:refused|reset|error|closed|dropped|lost|aborted"
        r"|failed|failure|timed[- ]out|terminated|interrupted|to \S{1,80} (?:failed|refused|closed))"
        r"|\bConnection(?:Refused|Reset|Aborted|Closed)?Error\b|\bConnect(?:ion)?(?:Error|Timeout|Exception)\b"
        r"|\bAPIConnection\w+|(?:cannot|can't|could not|couldn't|unable to|failed to)"
        r" (?:establish (?:a )?(?:new )?connection|connect|reach|resolve|look ?up)\b"
        r"|fetch failed|failed to fetch|network (?:error|is (?:down|unreachable)|unreachable|failure"
        r"|connection|issue|problem)|socket hang up|socket (?:connection )?(?:was )?(?:closed|error|disconnected)"
        r"|other side closed|name or service not known|temporary failure in name resolution"
        r"|getaddrinfo|name (?:does not resolve|resolution)|no route to host|dns (?:error|lookup|failure|resolution)"
        r"|could not resolve host|\bhost (?:is )?unreachable|error sending request|broken pipe"
        r"|stream (?:disconnected|closed|ended|(?:was|has been) (?:reset|closed|interrupted|aborted)|reset|error|terminated|aborted)"
        r"|\b(?:ssl|tls)\b.{0,30}(?:error|eof|handshake|failure)|unexpected eof|reconnecting"
        r"|(?:request|response) (?:was )?(?:ended without|aborted|interrupted)|premature(?:ly)? (?:close|end\w*)"
        r"|upstream connect error|no healthy upstream|connection (?:is unavailable|termination)"
        r"|\bserver (?:has )?(?:closed|disconnected|hung up)|remote end closed|incomplete(?:d)? (?:chunked )?read"
        r"|\bsent GOAWAY\b|empty reply from server|tunneling socket|网络(?:错误|异常|连接)"
        r"|\bIncompleteRead\b|RemoteProtocolError|error decoding response body|\bmax retries exceeded with url"
        r"|(?:without|before) (?:a |any )?(?:finish reason|completion|sending any chunks|message_stop)",
    ),
    Row(
        "garbled_stream",
        "network",
        "json|invalid|terminated|parse|malformed|segment|stream|decode|chunk",
        r"incomplete json|unterminated string|unexpected (?:end of json|token\b.{0,40}\bjson|end of (?:input|data))"
        r"|could not parse (?:message|response|chunk|event)|json (?:parse|parsing|decode) (?:error|failed)"
        r"|(?:failed|unable) to (?:parse|decode) (?:\w+ ){0,3}(?:response|stream|chunk|event|json)"
        r"|in JSON at position|\bJSONDecodeError\b|(?:^|: ?|\[)terminated\b(?! by)|invalid json response"
        r"|malformed (?:response|chunk|stream|json|function)|type validation failed|invalid (?:stream|chunk|response)\b"
        r"|expected (?:.,?;? )?.{0,30}in json",
    ),
    # --- the model said nothing usable -----------------------------------------------------------
    Row(
        "no_answer",
        "inference",
        "empty|no response|no usage|no output|no content|html|no candidates|no_events|did not (?:return|respond)",
        r"empty (?:or (?:malformed|invalid) )?(?:response|answer|completion|stream|content|output|reply)"
        r"|(?:response|answer|output|stream) (?:was |is )?empty|returned (?:nothing|no (?:response|content|output|text|answer))"
        r"|no (?:response|content|output|usage data|candidates|answer|choices)\b|non-sse response|html (?:page|response)"
        r"|text/html|malformed response",
        says_so=True,
    ),
    # --- missing things -------------------------------------------------------------------------
    Row(
        "not_found",
        "not_found",
        "not found|no such|enoent|404|410|does not exist|doesn't exist|deleted|cannot find|not_found|no conversation"
        "|no session|no rollout|unknown|could not find|modulenotfound|notfound",
        r"no such (?:file|directory|device|session|agent|tool|host)|\bENOENT\b|file or directory not found"
        r"|(?:directory|file|session|conversation|agent|profile|thread|provider|path|resource|page|server|extension|module)"
        r"s? (?:[`'\":\w./@-]{1,100} )?(?:was |is |were )?(?:not found|deleted|does not exist|doesn't exist|missing|unknown)"
        r"|(?:cannot|can't|could not|couldn't|unable to|failed to) (?:find|locate|open|load|import)\b|MODULE_NOT_FOUND"
        r"|\bModuleNotFoundError\b|\bImportError\b|\bNotFoundError\b|\bFileNotFoundError\b|not_found_error"
        r"|no (?:\w+ )?(?:conversation|session|rollout|agent|checkpoint)s? (?:was |were )?found"
        r"|unknown (?:agent|session|provider|profile|tool|host|persona|conversation)\b|not found\. available|"
        + status("404|410", "not found", "gone", "page"),
    ),
    # What a wrapper says of a child that it ended at its own time limit.
    Row(
        "ended_by_wrapper",
        "timeout",
        "143|124",
        r"\bexit(?:ed)?(?: with)? (?:code|status) (?:143|124)\b",
        says_so=True,
    ),
    Row(
        "exit_by_signal",
        "killed",
        "interrupted|exited with code|exit code|signal|killed|terminated",
        r"exit(?:ed)?(?: with)?(?: code)? (?:137|130|129)\b|killed by (?:signal|sig\w+)|(?:received|caught|got) sig(?:term|int|hup|kill)"
        r"|\bsigkill\b|^killed$|^terminated$|interrupted by (?:user|signal)",
    ),
    # --- what is left ---------------------------------------------------------------------------
    Row(
        "retryable",
        "server_error",
        "try again|you can retry|please retry|temporar|transient|try later|重试|再试",
        r"an error occurred while processing your request|(?:error|failed|failure|problem|unavailable|wrong)\b.{0,120}"
        r"\b(?:please )?(?:try again (?:later|in)|retry (?:later|your request))"
        r"|稍后(?:再|重)试|temporar(?:y|ily) (?:error|failure|unavailable|down|issue)|\btransient (?:api |network )?(?:error|failure)\b",
    ),
    Row(
        "crash",
        "crash",
        "segmentation|panic|core dumped|assertion|sigsegv|sigabrt|sigill|stack overflow|fatal",
        r"segmentation fault|\bpanicked at\b|core dumped|^panic: |\bSIG(?:SEGV|ABRT|ILL|BUS|TRAP)\b"
        r"|assertion (?:`.{0,80}' )?failed|stack overflow",
        says_so=True,
    ),
    Row("api_error", "server_error", "api", r"\bapi[-_ ]?(?:call )?error\b(?!: \w+$)"),
)
