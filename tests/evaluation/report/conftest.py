"""Results of three models, written once."""

from pathlib import Path

import pytest

from tests.evaluation.report.result_files import write_results


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of results, not to be changed."""
    folder = tmp_path_factory.mktemp("results")
    write_results(folder, draws=5)
    return folder
