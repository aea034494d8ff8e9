"""The parts of a home do not block each other."""

from concurrent.futures import ThreadPoolExecutor

from orchestration import resources
from orchestration.resources import open_lake
from orchestration.settings import load_settings


def test_a_reader_does_not_wait_for_a_writer(tmp_path):
    settings = load_settings(home=tmp_path, lock_timeout_s=0)

    def read() -> int:
        with open_lake(settings).read() as con:
            return con.execute("select count(*) from raw.sales").fetchone()[0]

    with open_lake(settings).writing("a long build"), ThreadPoolExecutor(1) as another:
        resources._open_lake.cache_clear()  # as in a process of its own
        assert another.submit(read).result() == 0
