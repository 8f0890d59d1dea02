"""Texts that say: not like this. Credentials, models, permissions, the command line, settings.

The second third of the table; `classification_table` says what the order means.
"""

from typing import Final

from muster.domain.classification_row import Row, status

_MODEL_GONE: Final = (
    r"(?:(?:is |was )?not (?:found|available|supported|recogni[sz]ed|valid|exist(?:ing)?"
    r"|accessible|enabled|allowed)|does(?:n't| not) exist|(?:is )?unavailable|unknown"
    r"|(?:is|has been|was) (?:deprecated|retired|decommissioned|removed|shut down)"
    r"|is(?:n't| no longer) (?:available|supported)|is invalid)"
)

ROWS: Final[tuple[Row, ...]] = (
    # --- programs' inner servers that say nothing ----------------------------------
    Row(
        "inner_server",
        "unknown",
        "unexpected server error",
        r"unexpected server error\. check server logs",
        says_so=True,
    ),
    Row(
        "web_page",
        "inference",
        "html|non-sse",
        r"(?:<!doctype html|<html)(?!.{0,300}<title> ?\d{3})|non-sse response"
        r"|html page|content-type:? text/html",
        says_so=True,
    ),
    # --- credentials ---------------------------------------------------------------
    Row(
        "auth",
        "auth",
        "auth|api key|api_key|apikey|api-key|token|credential|log in|login|logged|sign in"
        "|signing in|invalid_grant|_key|session|令牌|密钥|身份验证|鉴权",
        r"(?:invalid|incorrect|wrong|bad|missing|expired|revoked|unknown|no|malformed|disabled"
        r"|inactive|provide (?:an?|your|the)|set (?:an?|your|the))(?: \w+){0,2}"
        r"[-_ ](?:x[-_ ])?api[-_ ]?key|api[-_ ]?key[\"'`]? (?:\S+ )?(?:is |was |has |has been )?"
        r"(?:not (?:valid|found|set|provided|configured)|invalid|incorrect|missing|expired"
        r"|required|revoked|disabled|unset|must)|\b\w*API_KEY_INVALID\b|INVALID_API_KEY"
        r"|(?:set|specify|export|provide|check|missing|requires?|need)\b.{0,40}\b[A-Z][A-Z_]*"
        r"(?:_API_KEY|_AUTH_TOKEN|_ACCESS_TOKEN|_BEARER_TOKEN)\b"
        r"|authentication[-_ ](?:has |was )?(?:failed|failure|error|required|is required|expired)"
        r"|\bauthentication_error|\bAuthenticationError\b|failed to authenticate"
        r"|(?:could|can|did|was|were)(?: ?not|n't) (?:be )?authenticate|not authenticated"
        r"|unable to authenticate|\bunauthenticated\b|auth(?:orization)? (?:failed|error|failure)"
        r"|not (?:currently )?logged in(?= ?(?:$|[·.,:;!)—\u2013-]|please|run|to\b|or\b|with\b))"
        r"|please (?:\w+ )?(?:run \S*/?login|log ?in|sign ?in|re-?authenticate|authenticate"
        r"|run `?[\w-]+ (?:auth )?login)|run /login|try signing in|signed out|must (?:log|sign) in"
        r"|(?:log|sign)[- ]?in (?:is )?required|login (?:failed|has expired|required|expired)"
        r"|(?:oauth |access |refresh |auth |id |session |bearer )?token (?:has |is |was |have )?"
        r"(?:been )?(?:expired|invalid|revoked|not valid|malformed|already (?:been )?used|missing)"
        r"|(?:invalid|expired|missing|bad|no|refresh) (?:\w+ ){0,2}(?:access|refresh|auth|oauth"
        r"|bearer|session)[- ]token|failed to refresh token|refresh token has already"
        r"|(?:invalid|no|missing|expired|bad|wrong|incorrect|stale) (?:\w+ ){0,2}"
        r"credentials?(?! helper)|credentials? (?:\w+ ){0,2}(?:are |is |have |has |were )?(?:not (?:valid"
        r"|found|set|configured)|invalid|expired|missing|required|rejected)|could not load"
        r" (?:the )?(?:default )?credentials|\binvalid_grant\b|\binvalid_client\b"
        r"|(?:invalid|set an|no|select an?) auth(?:entication)? (?:method|type|provider)"
        r"|session (?:has |is )?(?:expired|invalid)|\bnot signed in\b|no auth(?:entication)? "
        r"(?:info(?:rmation)? |credentials )?(?:was )?(?:found|provided|configured)"
        r"|unable to (?:locate|find|load) (?:\w+ )?credentials|security token\b.{0,60}(?:expired|invalid)"
        r"|re-?authentication (?:is )?(?:needed|required)|to re-?authenticate\b"
        r"|\b\w*(?:Credentials|ExpiredToken|TokenExpired|InvalidToken|UnrecognizedClient)(?:Error|Exception)\b"
        r"|(?:not created|created without|without) (?:with )?authentication\b"
        r"|(?:令牌|密钥).{0,8}(?:过期|无效|错误|不正确)|(?:无效的|错误的)(?:令牌|密钥)|身份验证失败|鉴权失败",
        says_so=True,
    ),
    Row(
        "unauthorized",
        "auth",
        "401|unauthori",
        r"\bunauthori[sz]ed\b(?= ?(?:$|[:.,;!)\]}\"'\u2013—·(-]|error|request|access|client|for\b|to\b|because))"
        r"|\bUnauthori[sz]ed(?:Error|Exception)|" + status("401", "unauthori"),
    ),
    # --- models --------------------------------------------------------------------
    Row(
        "invalid_model",
        "invalid_model",
        "model|endpoint|deployment",
        r"(?:\bmodel(?:s/[\w.:@/-]+|_id)?)(?: (?:id|name|named|version|code|identifier))?[:=]? ?"
        rf"(?:[`\"'(<]?[\w.:@/…-]{{1,80}}[`\"')>]? )?{_MODEL_GONE}\b"
        r"|(?:unknown|invalid|unsupported|no such|unrecogni[sz]ed|nonexistent|missing|bad"
        r"|unavailable) model\b(?! (?:response|output|metadata|answer|stream|behaviou?r))"
        r"|\bmodel_?not_?(?:found|available|supported)\w*|\bModelNotFound\w*|ModelNotFoundError"
        r"|issue with the selected model|(?:not|n't) have access to (?:the |this )?model"
        r"|no (?:endpoints|provider|deployment)s? (?:was |were )?found (?:for|that|matching)"
        r"|no model (?:named|called|found|matches|with|selected|specified|configured)"
        r"|models/\S{1,80} is not found|llm provider not provided",
        says_so=True,
    ),
    # --- what the user forbade or must allow ------------------------------------------
    Row(
        "needs_approval",
        "needs_approval",
        "approv|permission|reject|confirm|consent|interactive",
        r"auto-?reject|permission (?:\w+ )?(?:requested|rejected|was rejected)"
        r"|(?:requires?|needs?|waiting for|awaiting|without) (?:\w+ ){0,2}(?:approval|confirmation)"
        r"|approval (?:is )?(?:required|needed|denied|rejected|policy)|user (?:rejected|declined|denied)"
        r"|tool use (?:was )?(?:rejected|denied)|rejected permission|permission to use .{1,40}denied",
        says_so=True,
    ),
    Row(
        "file_permission",
        "forbidden",
        "permission denied|eacces|eperm|erofs|not permitted|read-only",
        r"permission denied|\b(?:EACCES|EPERM|EROFS)\b|operation not permitted"
        r"|read-only file ?system",
        live=False,
    ),
    Row(
        "forbidden",
        "forbidden",
        "forbidden|403|451|permission|access|privileges|scope|not authori|not entitled|not permitted"
        "|not been used|not enabled",
        r"\bforbidden\b(?= ?(?:$|[:.,;!)\]}\"'\u2013—·(-]|error|for\b|to\b|because|by\b))|request_forbidden"
        r"|\bForbidden(?:Error|Exception)|\bPERMISSION_DENIED\b|\bPermissionDenied\w*"
        r"|permission_error|access (?:is |was )?(?:denied|forbidden)|AccessDenied\w*"
        r"|(?:not|n't) have (?:the )?(?:required |necessary |sufficient )?permissions?"
        r"|\bAPI has not been used|\bAPI is not enabled|insufficient (?:permissions?|privileges|scopes?)|not (?:authori[sz]ed|entitled|permitted)"
        r" to|" + status("403|451", "forbidden"),
    ),
    # --- set-up: the same command fails again -----------------------------------------
    Row(
        "tool_not_found",
        "tool_not_found",
        "command not found|not found|no such file|enoent|cannot execute|exec format|spawn"
        "|bad interpreter|executable",
        r"command not found|(?:^|: )(?:\d+: )?[\w./-]{1,80}: not found$|uv_spawn\b.{0,80}"
        r"|spawn \S{1,200} ENOENT|ENOENT\b.{0,40}\buv_spawn|bad interpreter|exec format error"
        r"|cannot execute(?: binary file)?|/usr/bin/env: .{1,80}no such file or directory"
        r"|executable (?:file )?(?:was )?not found|no such program",
        says_so=True,
    ),
    Row(
        "shell_syntax",
        "invalid_request",
        "syntax error",
        r"(?:^|: )(?:line )?\d+: syntax error",
    ),
    Row(
        "proxy_refuses",
        "forbidden",
        "407",
        r"proxy authentication required|tunnel\w*\b.{0,60}\b407\b|"
        + status("407", "proxy"),
        says_so=True,
    ),
    Row(
        "nested_session",
        "invalid_request",
        "inside another|nested",
        r"cannot be launched inside another|nested (?:sessions?|call)",
        says_so=True,
    ),
    Row(
        "usage",
        "invalid_request",
        "option|argument|flag|usage:|requires|value is required|already in use|invalid value|subcommand|cannot be used|parameter|switch",
        r"(?:unknown|unexpected|unrecogni[sz]ed|invalid|unsupported|illegal|missing|no such"
        r"|ambiguous|not enough|too (?:many|few)|conflicting|required)"
        r"(?: (?:required|extra|command|command-line|value for|positional|or|following|cli)){0,3}"
        r" (?:options?|arguments?|flags?|subcommands?|commands?|parameters?|switch)\b"
        r"|cannot be used (?:with|together|without)|requires? (?:either )?-{1,2}\w"
        r"|(?:option|argument|flag)s? .{1,60} (?:requires?|is required|are required|needs|expects"
        r"|must|cannot be used)|(?:the )?following (?:required )?arguments|mutually exclusive|argument missing"
        r"|value is required for|invalid value .{1,60} for [`'\"]?-|(?:^|\s)--?[\w-]{1,40} (?:requires|needs|expects) an? "
        r"|\bsession (?:id )?.{1,60} is already in use"
        r"|(?:^|[.!] )usage: \S|bad option",
    ),
    Row(
        "no_prompt",
        "invalid_request",
        "prompt|input|message|stdin",
        r"no (?:prompt|input|message|query|instructions?)s? (?:was |were )?(?:provided|given"
        r"|specified|received|found)|(?:must|need to|please|should) (?:be )?(?:provided?|specify|give"
        r"|enter|supply)(?: an?| the| some| either)? ?(?:prompt|message|input|query|through|via|as\b)"
        r"|(?:prompt|message|input) (?:is |was )?(?:required|missing|empty|cannot be empty"
        r"|must)|(?:empty|missing|blank) (?:prompt|message|input|query)"
        r"|(?:failed to|could not|cannot) read (?:the )?(?:prompt|input|stdin)|not valid utf-?8",
        says_so=True,
    ),
    Row(
        "not_trusted",
        "invalid_request",
        "trust|root|sudo|sandbox|bwrap|git repo",
        r"not a git repository|not (?:inside|running in|in) a (?:trusted (?:directory|folder)|git repo\w*)"
        r"|(?:directory|folder|workspace) is not trusted|cannot be (?:used|run) (?:with|as) root"
        r"|(?:with|as) root/sudo|bwrap: |sandbox (?:\w+ )?(?:failed|error|unavailable|not (?:available"
        r"|supported))|failed to (?:start|create|apply|initiali[sz]e) (?:the )?sandbox",
        says_so=True,
    ),
    Row(
        "turn_limit",
        "invalid_request",
        "turns|max_turns|budget|steps",
        r"max(?:imum)?[-_ ](?:number of )?(?:session )?(?:turns|steps|iterations)\b"
        r"|error_max_(?:turns|budget)\w*|(?:exceed\w*|reached|over)\b.{0,30}\bbudget",
        says_so=True,
    ),
    Row(
        "config",
        "invalid_request",
        "config|settings|environment|env var|missing field|no longer supported|profile|toml|yaml",
        r"(?:error|problem|failed|invalid|unable|could not|cannot|syntax|malformed)\b.{0,60}"
        r"\b(?:config(?:uration)?|settings)\b(?: file)?(?!_ref)|(?:config(?:uration)?|settings)(?: file)?\b"
        r".{0,120}\b(?:is not valid|is invalid|parse error|not found|syntax error|malformed)"
        r"|(?:config(?:uration)?|settings)\.(?:toml|json|ya?ml)\b|is no longer supported"
        r"|(?:config\w*|profile) [`'\"]?[\w.-]{1,60}[`'\"]? (?:was |is |does )?not (?:found|exist)"
        r"|fix the configuration|\b(?:toml|yaml)(?:: line \d+|\.scanner|\.parser)|TOMLDecodeError|YAMLException|"
        r"missing (?:environment variable|env var|field)"
        r"|environment variable.{0,60}(?:not set|is required|missing|must be set|unset)",
        says_so=True,
    ),
)
