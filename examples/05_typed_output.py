"""The answer must fit a type and pass a check; otherwise the model is told why and tries again."""

from dataclasses import dataclass

from mainspring import Agent, Run, ScriptedModel


@dataclass
class Invoice:
    number: str
    total: float


def plausible(invoice: Invoice, run: Run) -> str | None:
    return None if invoice.total > 0 else "the total must be positive"


answers = ["It is invoice 17.", '{"number": "17", "total": -5}', '{"number": "17", "total": 119.0}']
agent = Agent("reader", model=ScriptedModel(answers), output_type=Invoice, check=plausible)
run = agent.run_sync("Which invoice is this?")
print(run.output)
for event in run.events():
    if event.kind == "output.rejected":
        print("rejected:", event.payload["complaint"].splitlines()[0])
