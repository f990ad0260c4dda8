"""Each status is ok, retryable or final, and the words are the contract's."""

from spark_jobs.statuses import FINAL, RETRYABLE, Status


def test_every_status_is_exactly_one_of_ok_retryable_and_final():
    for status in Status:
        assert (status is Status.OK) + (status in RETRYABLE) + (status in FINAL) == 1, status


def test_the_words_are_those_of_the_downloads_table():
    retryable = ["throttled", "server_error", "timeout", "too_slow", "connection_error", "tls_error"]
    final = ["gone", "forbidden", "redirect_refused", "robots_denied", "opted_out", "too_large"]
    final += ["too_many_pixels", "too_small", "not_an_image", "corrupt_image", "placeholder"]
    assert {str(status) for status in RETRYABLE} == set(retryable)
    assert {str(status) for status in FINAL} == set(final)
