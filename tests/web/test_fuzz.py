"""Whatever is sent to any route of the OpenAPI document: no answer of 5xx, none that the document does not describe."""

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
THERE = {
    "run": [0, 1],
    "image": ["test-3", "index-7"],
    "stage": ["conv1", "fc7", "softmax"],
    "unit": [0, 7],
    "units": ["0,3"],
    "right": [0, 9],
    "given": [3],
    "label": ["3"],
}
"""Values that exist: made-up ones alone would hardly get behind the first check."""


@pytest.mark.parametrize("examples", [6, pytest.param(100, marks=pytest.mark.slow)])
def test_no_request_breaks_the_server(app, client, examples):
    document = schemathesis.openapi.from_dict(app.openapi())
    operations = [result.ok() for result in document.get_all_operations()]
    assert len(operations) >= 18
    statuses = set()
    for operation in operations:

        @settings(
            max_examples=examples,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(), data=st.data())
        def ask(case, data):
            for values in (case.path_parameters or {}, case.query or {}):
                for name in values:
                    if name in THERE and data.draw(st.integers(0, 3)):
                        values[name] = data.draw(st.sampled_from(THERE[name]))
            response = case.call(base_url=str(client.base_url))
            case.validate_response(response, checks=CHECKS)
            statuses.add(response.status_code)

        ask()
    assert {200, 404, 409, 422} <= statuses
