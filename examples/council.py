"""A council in a host application: the same lines for every kind of agent.

Run it with ``stub``, ``processes`` or ``crewai``; only the settings differ.
"""

import asyncio
import os
import sys

from muster import AgentRequest, ContextBundle, Fleet

MODELS = os.getenv("MODELS", "http://127.0.0.1:11434/v1")
CREW = {"adapter": "crewai", "base_url": MODELS}
SETTINGS = {
    # Simulated agents: no model, no network, no cost.
    "stub": {"tool": "sim"},
    # Local programs: whatever reads a question on stdin and answers on stdout.
    "processes": {
        "tool": "voice",
        "tools": {
            "voice": {"command": ["sh", "-c", 'read q; echo "$MUSTER_AGENT: $q"']}
        },
    },
    # `pip install muster[crewai]`, and a server of models such as Ollama.
    "crewai": {"tool": "crew", "tools": {"crew": CREW}},
}
QUESTION = ContextBundle("db", "Shall we move the orders to a database of their own?")
MEMBERS = ("architect", "operator", "treasurer")


async def main(kind: str = "stub") -> int:
    async with Fleet.open(SETTINGS[kind]) as fleet:
        council = fleet.deliberation_service(agent_timeout=60.0)
        result = await council.invoke_concurrent(
            [AgentRequest(name, QUESTION, agent=name) for name in MEMBERS]
        )
    for output in result.outputs:
        print(f"{output.agent_id:<10} {output.content.strip()}")
    for entry in result.failures:
        print(f"{entry.agent_id:<10} {entry.failure.cause}: {entry.failure.message}")
    return len(result.failures)


if __name__ == "__main__":
    raise SystemExit(asyncio.run(main(*sys.argv[1:])))
