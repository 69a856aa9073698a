use super::super::error::RequestFailure;
use super::*;

const BOTH: [Filter; 2] = [Filter::HttpCheck, Filter::HttpModify];

// Line 211.

#[test]
fn an_answer_of_200_or_204_lets_a_checked_item_pass() {
    for status in [200, 204] {
        let decision = judge_answer(Filter::HttpCheck, status, None, b"ignored");
        assert_eq!(decision, Ok(Decision::Keep), "{status}");
    }
}

#[test]
fn the_action_drop_drops_the_item() {
    for filter in BOTH {
        for status in [200, 204] {
            let decision = judge_answer(filter, status, Some(b"drop"), b"x");
            assert_eq!(decision, Ok(Decision::Drop), "{filter:?} {status}");
        }
    }
}

#[test]
fn other_actions_than_drop_mean_nothing() {
    for action in ["Drop", "DROP", "send", "", "drop,drop", "dropped"] {
        let decision = judge_answer(Filter::HttpCheck, 200, Some(action.as_bytes()), b"");
        assert_eq!(decision, Ok(Decision::Keep), "{action:?}");
    }
}

// Line 212.

#[test]
fn http_modify_takes_the_content_of_a_200_even_when_it_is_empty() {
    for content in [&b"new"[..], b""] {
        let decision = judge_answer(Filter::HttpModify, 200, None, content);
        assert_eq!(decision, Ok(Decision::Replace));
    }
}

#[test]
fn http_modify_keeps_the_content_at_a_204() {
    let decision = judge_answer(Filter::HttpModify, 204, None, b"");
    assert_eq!(decision, Ok(Decision::Keep));
}

#[test]
fn any_other_status_fails_redirects_and_drops_included() {
    for filter in BOTH {
        for code in [201, 205, 302, 404, 500] {
            let error = judge_answer(filter, code, Some(b"drop"), b"").unwrap_err();
            let expected = format!("unexpected network request status: code={code}");
            assert_eq!(error.to_string(), expected);
        }
    }
}

#[test]
fn content_of_an_answer_may_reach_the_limit_and_not_exceed_it() {
    let long = vec![b'x'; ANSWER_LEN_MAX + 1];
    let judge = |len: usize| judge_answer(Filter::HttpModify, 200, None, &long[..len]);
    assert_eq!(judge(ANSWER_LEN_MAX - 1), Ok(Decision::Replace));
    assert_eq!(judge(ANSWER_LEN_MAX), Ok(Decision::Replace));
    let error = judge(ANSWER_LEN_MAX + 1).unwrap_err();
    assert_eq!(error.to_string(), "network response exceeded 100000 bytes");
}

#[test]
fn http_check_ignores_content_of_any_length() {
    let long = vec![b'x'; ANSWER_LEN_MAX + 1];
    let decision = judge_answer(Filter::HttpCheck, 200, None, &long);
    assert_eq!(decision, Ok(Decision::Keep));
}

#[test]
fn failures_of_requests_have_the_texts_of_the_reference() {
    for (failure, text) in [
        (RequestFailure::ConnectionRefused, "connection refused"),
        (RequestFailure::ConnectionTimedOut, "connection timed out"),
        (RequestFailure::Disconnected, "disconnected"),
        (RequestFailure::RequestTimedOut, "request timed out"),
        (RequestFailure::General, "general error"),
    ] {
        let expected = format!("network request failed: {text}");
        assert_eq!(FilterError::Request(failure).to_string(), expected);
    }
    assert_eq!(FilterError::InvalidUrl.to_string(), "invalid url value");
}
