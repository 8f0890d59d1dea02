"""Settings: five layers, every value with its origin, every mistake with its place."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.domain.circuit_breaker import CircuitBreaker
from muster.domain.errors import ConfigError, UnknownPresetError
from muster.domain.recovery_policy import RecoveryPolicy
from muster.domain.spawn_policy import SpawnPolicy
from muster.infrastructure.secrets import Redactor
from muster.infrastructure.setting_fields import DEFAULTS, SETTINGS, variables
from muster.infrastructure.settings import Limits, Settings
from muster.infrastructure.strict_tables import dotted, leaves


@pytest.fixture
def home(tmp_path):
    """A home folder with a project in a git repository."""
    (tmp_path / "home" / "project" / ".git").mkdir(parents=True)
    return tmp_path / "home"


def load(home, *, files=None, environ=None, flags=None, cwd="project"):
    """What holds there, given these files."""
    for name, text in (files or {}).items():
        file = home / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return Settings.load(home / cwd, {"HOME": str(home), **(environ or {})}, flags)


def project_error(home, text):
    """The error that a project's file makes."""
    with pytest.raises(ConfigError) as caught:
        load(home, files={"project/muster.toml": text})
    return caught.value


def test_without_any_file_the_defaults_hold(home):
    """None is left to each function; all else has a value."""
    settings = load(home)

    assert settings.home == home / "project" / ".muster"
    assert (settings.tool, settings.policy, settings.recovery) == (None, None, None)
    assert (settings.containment, settings.max_depth) == ("keeper", 4)
    assert settings.limits == Limits()
    assert repr(CircuitBreaker(**settings.circuit_breaker)) == repr(CircuitBreaker())
    assert settings.origins == {}
    assert {row.origin for row in settings.rows()} == {"default"}


def test_each_layer_covers_the_one_below(home):
    """Default < user < project < environment < flag, key by key."""
    files = {
        ".config/muster/config.toml": "tool='a'\nmodel='a'\npolicy='test'\ngrace=1\n"
        "[limits]\nminutes=1\nagents=1\n",
        "project/muster.toml": "model='b'\npolicy='patient'\ngrace=2\n"
        "[limits]\nminutes=2\n",
    }
    settings = load(
        home,
        files=files,
        environ={"MUSTER_POLICY": "production", "MUSTER_GRACE": "3"},
        flags={"grace": "4", "limits.tokens": 9, "model": None},
    )

    assert (settings.tool, settings.model, settings.policy) == ("a", "b", "production")
    assert (settings.grace, settings.limits) == (4.0, Limits(1, 2, 9))
    user = home / ".config/muster/config.toml"
    assert settings.origins == {
        "tool": f"{user}:1",
        "model": f"{home}/project/muster.toml:1",
        "policy": "MUSTER_POLICY",
        "grace": "--grace",
        "limits.minutes": f"{home}/project/muster.toml:5",
        "limits.agents": f"{user}:7",
        "limits.tokens": "--budget-tokens",
    }


@pytest.mark.parametrize(
    ("files", "cwd", "tool", "project"),
    [
        ({"project/muster.toml": "tool='x'"}, "project/deep/er", "x", "project"),
        (
            {"project/pyproject.toml": "[tool.muster]\ntool='x'"},
            "project/deep",
            "x",
            "project",
        ),
        (
            {
                "project/pyproject.toml": "[tool.muster]\ntool='no'",
                "project/muster.toml": "tool='x'",
            },
            "project",
            "x",
            "project",
        ),
        (
            {
                "project/muster.toml": "tool='no'",
                "project/sub/muster.toml": "tool='x'",
            },
            "project/sub/deep",
            "x",
            "project/sub",
        ),
        ({"project/pyproject.toml": "[tool.other]"}, "project/sub", None, "project"),
        ({"project/pyproject.toml": "broken = muster ["}, "project", None, "project"),
        ({"muster.toml": "tool='no'"}, "project/sub", None, "project"),
        ({"muster.toml": "tool='x'"}, "elsewhere/deep", "x", ""),
        ({"elsewhere/.muster/runs/x": ""}, "elsewhere/deep", None, "elsewhere"),
        ({"../muster.toml": "tool='no'"}, "elsewhere", None, "elsewhere"),
    ],
)
def test_where_the_project_is(home, files, cwd, tool, project):
    """Upwards to the root of the repository, or to the home folder; not further."""
    (home / cwd).mkdir(parents=True, exist_ok=True)
    settings = load(home, files=files, cwd=cwd)

    assert settings.tool == tool
    assert settings.project == home / project


def test_outside_of_home_and_git_only_the_folder_itself_counts(tmp_path):
    """Anybody may put a file into /tmp, and settings name programs."""
    (tmp_path / "muster.toml").write_text("tool='evil'")
    (tmp_path / "sub").mkdir()

    assert Settings.load(tmp_path / "sub", {"HOME": "/nowhere"}).tool is None
    assert Settings.load(tmp_path, {"HOME": "/nowhere"}).tool == "evil"
    assert Settings.load(tmp_path, {}).tool == "evil"


@pytest.mark.parametrize(
    ("environ", "tool"),
    [
        ({}, "user"),
        ({"XDG_CONFIG_HOME": "{}/xdg"}, "xdg"),
        ({"XDG_CONFIG_HOME": "x"}, "user"),
    ],
)
def test_the_user_file(home, environ, tool):
    """XDG_CONFIG_HOME where it is absolute."""
    files = {
        ".config/muster/config.toml": "tool='user'",
        "xdg/muster/config.toml": "tool='xdg'",
    }
    environ = {name: value.format(home) for name, value in environ.items()}

    assert load(home, files=files, environ=environ).tool == tool


@pytest.mark.parametrize(
    ("files", "environ", "expected"),
    [
        ({"project/muster.toml": "home='data'"}, {}, "project/data"),
        ({".config/muster/config.toml": "home='data'"}, {}, ".config/muster/data"),
        ({}, {"MUSTER_HOME": "data"}, "project/sub/data"),
        ({"project/muster.toml": "home='x'"}, {"MUSTER_HOME": "/abs"}, "/abs"),
    ],
)
def test_home_is_relative_to_whoever_names_it(home, files, environ, expected):
    """The file's folder, or the folder that the command runs in."""
    (home / "project/sub").mkdir()
    settings = load(home, files=files, environ=environ, cwd="project/sub")

    assert settings.home == home / expected
    assert {row.key: row.value for row in settings.rows()}["home"] == str(settings.home)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("\nmax_concurent = 4", 2, "did you mean 'max_concurrent'"),
        ("[limits]\nminuts = 4", 2, "did you mean 'minutes'"),
        ("[circut_breaker]", 1, "did you mean 'circuit_breaker'"),
        ("[tools.x]\ncomand = 'y'", 2, "did you mean 'command'"),
        ("max_concurrent = 0", 1, "a whole number from 1 to 10,000, not 0"),
        ("max_concurrent = -1", 1, "not -1"),
        ("max_concurrent = 1e309", 1, "not inf"),
        ("max_concurrent = 'ten'", 1, "not 'ten'"),
        ("max_concurrent = true", 1, "not True"),
        ("max_concurrent = 4.0", 1, "not 4.0"),
        ("max_concurrent = 99999999999999999999", 1, "not 99999999999999999999"),
        ("max_concurrent = 0x" + "f" * 9_999, 1, "not a huge number"),
        ("grace = nan", 1, "grace must be seconds from 0 to 315,360,000, not nan"),
        ("grace = -0.1", 1, "not -0.1"),
        ("fallback = 1", 1, "fallback must be true or false"),
        ("tool = '--yolo'", 1, "without a leading '-'"),
        ("tool = ''", 1, "tool must be"),
        ("containment = 'cage'", 1, 'one of "keeper", "group"'),
        ("limits = 5", 1, "limits must be a table, not 5"),
        ("[limits]\nminutes = 0", 2, "above 0"),
        ("[circuit_breaker]\nfailure_threshold = 0", 2, "from 1"),
        ("[policies.x.retry]\njitter = 'lots'", 2, "one of"),
        ("[policies.x.termination]\npatterns = ['(']", 2, "unterminated"),
        ("[recovery]\nmax_retries = -1", 2, "recovery.max_retries must be"),
        ("[recovery.overrides.dana]\nx = 1", 2, "recovery.overrides.dana.x is an unknown"),
        ("[policies.x]\ntimeout = {mode='fixed', timeout=60, no_activity_timeout=600}", 2, "(600) is above the hard limit of 60"),
        ("[policies.x.timeout]\ninitial_timeout = 500", 2, "initial_timeout (500) is above"),
        ("[policies.x]\npreset='test'\ntermination.stall.stall_threshold = 31", 3, "above the hard limit of 30"),
        ("[policies.x.retry]\nbase_delay = 90", 2, "above max_delay (60)"),
        ("[recovery]\nbase_delay = 90", 2, "above max_delay (30)"),
        ("a = ", 1, "not valid TOML"),
        (b"\xff\xfea\0", None, "UTF-16"),
        (b"tool = '\xff'", None, "not UTF-8"),
        (" " * 1024 * 1024 + "a=1", None, "larger than"),
    ],
)  # fmt: skip
def test_mistakes_in_a_file(home, text, line, message):
    """Place, field, value, range."""
    error = project_error(home, text)

    place = home / "project" / "muster.toml"
    assert error.where == (f"{place}:{line}" if line else str(place))
    assert message in error.problem
    assert len(error.problems) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "policy = 'patiennt'",
            "did you mean 'patient'? there are default, production",
        ),
        ("[policies.x]\npreset = 'y'", "there are default, production"),
        ("[recovery]\npreset = 'y'", "there are default, aggressive_retry"),
    ],
)
def test_unknown_presets(home, text, message):
    """The error lists the names, and is a ValueError too."""
    error = project_error(home, text)

    assert isinstance(error, UnknownPresetError)
    assert message in str(error)


def test_all_mistakes_at_once(home):
    """Of all files, variables and flags."""
    with pytest.raises(UnknownPresetError) as caught:
        load(
            home,
            files={
                ".config/muster/config.toml": "a=1\nb=2",
                "project/muster.toml": "grace=-1\n[policies.x]\npreset='y'",
            },
            environ={"MUSTER_MAX_CONCURRENT": "abc"},
            flags={"tool": "-x"},
        )

    error = caught.value
    assert len(error.problems) == 6
    assert "6 problems in the settings:" in str(error)
    assert "MUSTER_MAX_CONCURRENT: max_concurrent must be a whole" in str(error)
    assert "--tool: tool must be" in str(error)


def test_a_folder_instead_of_a_file(home):
    """It says so."""
    (home / "project" / "muster.toml").mkdir()
    with pytest.raises(ConfigError, match="is a directory"):
        load(home)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file(home):
    """It says so."""
    file = home / "project" / "muster.toml"
    file.write_text("")
    file.chmod(0)
    with pytest.raises(ConfigError, match="Permission denied"):
        load(home)


@pytest.mark.parametrize("text", ["", "\n# nothing\n", "\ufeff", "\ufefftool='x'\r\n"])
def test_empty_files_and_marks(home, text):
    """Empty means defaults; a byte order mark means nothing."""
    settings = load(home, files={"project/muster.toml": text})

    assert settings.tool == ("x" if "tool" in text else None)


@pytest.mark.parametrize(
    ("name", "text", "key", "value"),
    [
        ("MUSTER_TOOL", "codex", "tool", "codex"),
        ("MUSTER_MODEL", "opus", "model", "opus"),
        ("MUSTER_FALLBACK", "no", "fallback", False),
        ("MUSTER_FALLBACK", "1", "fallback", True),
        ("MUSTER_MAX_DEPTH", " 2 ", "max_depth", 2),
        ("MUSTER_GRACE", "1e-1", "grace", 0.1),
        ("MUSTER_TOOL", "", "tool", None),
        ("MUSTER_RUN_ID", "r1", "tool", None),
        ("MUSTER_TASK_ID", "-x", "tool", None),
        ("MUSTER_DEPTH", "1", "max_depth", 4),
        ("NOT_MUSTER_X", "1", "tool", None),
    ],
)
def test_variables(home, name, text, key, value):
    """Typed as in files; what muster tells its children is no mistake."""
    assert getattr(load(home, environ={name: text}), key) == value


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("MUSTER_MAX_CONCURRENT", "abc", "not 'abc'"),
        ("MUSTER_MAX_CONCURRENT", "0", "not 0"),
        ("MUSTER_MAX_CONCURRENT", "٣", "not '٣'"),
        ("MUSTER_GRACE", "nan", "not 'nan'"),
        ("MUSTER_FALLBACK", "maybe", "true or false"),
        ("MUSTER_POLICY", "patiennt", "did you mean 'patient'"),
        ("MUSTER_TOOOL", "x", "unknown variable; did you mean 'MUSTER_TOOL'"),
        ("MUSTER_RECOVERY_PRESET", "y", "names no preset"),
        ("MUSTER_HOME", "~no-such-user-here/x", "names no user's folder"),
    ],
)
def test_garbage_in_variables(home, name, text, message):
    """The variable is named."""
    with pytest.raises(ConfigError) as caught:
        load(home, environ={name: text})

    assert caught.value.where == name
    assert message in caught.value.problem


def test_every_variable_has_a_name_of_its_own():
    """No two settings share one, and each plain setting has a default."""
    assert len(variables()) == len(list(leaves(SETTINGS)))
    plain = {dotted(path).split(".")[0] for path, _ in leaves(SETTINGS)}
    assert plain - {"home", "recovery"} == set(DEFAULTS)


def test_policies(home):
    """Own policies on a preset; inherited silences give way to shorter limits."""
    settings = load(
        home,
        files={
            "project/muster.toml": "policy='night'\ngrace=0.5\nconfirm_after=0.2\n"
            "[policies.night]\npreset='production'\nbreaker_enabled=false\n"
            "timeout={max_timeout=3600, first_output_timeout='never'}\n"
            "[policies.quick.timeout]\nmode='fixed'\ntimeout=20\n"
            "[policies.patient.retry]\nmax_attempts=7\n"
        },
    )

    night = settings.spawn_policy()
    assert (night.name, night.breaker_enabled) == ("night", False)
    assert night.timeout.max_timeout == 3600
    assert night.timeout.first_output_timeout is None
    assert night.timeout.extension_threshold == 15.0
    assert (night.termination.grace, night.termination.confirm_after) == (0.5, 0.2)
    quick = settings.policies["quick"].timeout
    assert (quick.hard_limit, quick.first_output_timeout) == (20, 20)
    patient = settings.spawn_policy("patient")
    assert (patient.retry.max_attempts, patient.retry.max_delay) == (7, 30.0)
    assert settings.spawn_policy("test").timeout.hard_limit == 30.0
    given = SpawnPolicy.default()
    assert settings.spawn_policy(given).retry == given.retry
    with pytest.raises(UnknownPresetError, match="night"):
        settings.spawn_policy("nigt")
    assert load(home, files={"project/muster.toml": ""}).spawn_policy() == given


def test_tools_agents_and_recovery(home):
    """Tables become what they describe."""
    settings = load(
        home,
        files={
            "project/muster.toml": "[tools.lint]\ncommand=['ruff','check']\n"
            "env=['CI']\n[tools.claude]\npermissions='bypass'\n"
            "[agents.dana]\ndescription='designs'\nmood='calm'\n"
            "[recovery]\npreset='patient'\nmax_retries=4\n"
            "[recovery.overrides.dana]\nmax_retries=0\n"
        },
    )

    assert settings.tools == {
        "lint": {"command": ("ruff", "check"), "env": {"CI": None}},
        "claude": {"permissions": "bypass"},
    }
    dana = settings.agents["dana"]
    assert (dana.description, dana.extra) == ("designs", {"mood": "calm"})
    assert dana.source == f"{home}/project/muster.toml:7"
    patient = RecoveryPolicy.patient()
    assert settings.recovery
    assert settings.recovery.max_retries == 4
    assert settings.recovery.max_delay == patient.max_delay
    assert settings.recovery.for_agent("dana").max_retries == 0


def test_what_a_host_passes(home):
    """A dict or a file stands in place of found files, below the environment."""
    cwd, environ = home / "project", {"HOME": str(home), "MUSTER_MODEL": "env"}
    (cwd / "muster.toml").write_text("tool='found'\nmodel='found'")
    (home / "own.toml").write_text("tool='own'\nhome='data'")

    def of(value):
        return Settings.from_value(value, cwd=cwd, environ=environ)

    found = of(None)
    assert (found.tool, found.model) == ("found", "env")
    given = of({"tool": "given", "model": "given", "limits": {"minutes": 5}})
    assert (given.tool, given.model, given.limits.minutes) == ("given", "env", 5)
    assert given.origins["tool"] == "settings"
    assert given.home == cwd / ".muster"
    own = of(home / "own.toml")
    assert (own.tool, own.home) == ("own", home / "data")
    assert of(str(home / "own.toml")) == own
    assert of(own) is own
    never = {"policies": {"x": {"timeout": {"no_activity_timeout": None}}}}
    assert of(never).policies["x"].timeout.no_activity_timeout is None
    with pytest.raises(ConfigError, match="there is no such file"):
        of(home / "missing.toml")
    with pytest.raises(ConfigError, match="settings: max_concurrent must be"):
        of({"max_concurrent": 0})
    with pytest.raises(ConfigError, match="the settings must be a table"):
        of(5)


def test_the_caller_s_own_environment_is_the_default(tmp_path):
    """Without arguments, it is this process and this folder."""
    settings = Settings.from_value({"home": str(tmp_path)})

    assert settings.home == tmp_path
    assert Settings.load().project.is_relative_to(Path("/"))


def test_show_masks_secrets(home):
    """By the name of the key, by known values, by shape; numbers stay."""
    settings = load(
        home,
        files={
            "project/muster.toml": "model='hunter2-value'\nlimits.tokens=5\n"
            "[tools.x]\ncommand='x'\nextra_args='--key=sk-abcdefghijklmnopqrst'\n"
            "env={MY_API_KEY='plain', OTHER='plain'}\n"
        },
    )
    redactor = Redactor({"A_SECRET": "hunter2-value"})

    rows = {row.key: row for row in settings.rows(redactor)}

    assert rows["model"].value == "***"
    assert rows["limits.tokens"].value == 5
    assert rows["tools.x.extra_args"].value == ["--key=***"]
    assert rows["tools.x.env"].value == {"MY_API_KEY": "***", "OTHER": "plain"}
    assert rows["model"].origin == f"{home}/project/muster.toml:1"
    assert [row.key for row in settings.rows()] == sorted(rows)


def test_a_secret_is_not_shown_in_an_error(home):
    """Errors end up in logs."""
    error = project_error(
        home, "api_key = 'hunter2'\n[tools.x.env]\nMY_TOKEN=['hunter2']"
    )

    assert "hunter2" not in str(error)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([*SETTINGS.fields, "x", "timeout"]), inner, max_size=4
        )
    ),
    max_leaves=15,
)


@given(st.dictionaries(st.sampled_from([*SETTINGS.fields, "x"]), values, max_size=5))
def test_any_dict_is_settings_or_a_config_error(value):
    """Nothing else comes out of it."""
    outcome = None
    try:
        outcome = Settings.from_value(value, cwd="/", environ={})
    except ConfigError as exc:
        outcome = exc
    assert str(outcome)
