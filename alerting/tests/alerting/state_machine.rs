//! The life of an alert, as scripts and as properties.

use alerting::state::{AlertState, Event, Observation, Timing, step};
use proptest::prelude::*;

/// Runs a script: one character per second, `x` a hit, `.` a miss, `g` a miss in grace, and says
/// after each what the alert is: `-` inactive, `p` pending, `f` firing.
fn play(script: &str, for_s: i64, keep_s: i64) -> (String, Vec<(i64, Event)>) {
    let timing = Timing {
        for_ms: for_s * 1_000,
        keep_firing_for_ms: keep_s * 1_000,
    };
    let mut state = None;
    let mut shown = String::new();
    let mut events = Vec::new();
    for (second, c) in script.chars().enumerate() {
        let observation = match c {
            'x' => Observation::Hit,
            'g' => Observation::MissInGrace,
            _ => Observation::Miss,
        };
        let (next, event) = step(state, observation, second as i64 * 1_000, timing);
        state = next;
        shown.push(match state {
            None => '-',
            Some(AlertState::Pending { .. }) => 'p',
            Some(AlertState::Firing { .. }) => 'f',
        });
        events.extend(event.map(|event| (second as i64, event)));
    }
    (shown, events)
}

#[test]
fn scripts() {
    let cases = [
        // for, keep_firing_for, hits and misses, states
        (0, 0, "x.x", "f-f"),
        (3, 0, "xxxxx..", "pppff--"),
        (3, 0, "xx.xxxx", "pp-pppf"),
        (3, 0, "xxx.", "ppp-"),
        // A hit in between resets the clock of keep_firing_for.
        (0, 3, "x..x..x", "fffffff"),
        (0, 3, "x..x....", "fffffff-"),
        (0, 2, "x....", "fff--"),
        (2, 2, "xxx...x", "ppfff-p"),
        (0, 0, "xgg.", "fff-"),
        (3, 0, "xg", "p-"),
        (0, 0, "..", "--"),
    ];
    for (for_s, keep_s, script, expected) in cases {
        let (shown, _) = play(script, for_s, keep_s);
        assert_eq!(shown, expected, "for {for_s}s keep {keep_s}s {script}");
    }
}

#[test]
fn a_longer_for_after_a_reload_sends_a_young_alert_back() {
    let young = AlertState::Firing {
        active_at: 0,
        fired_at: 0,
        keep_firing_since: None,
    };
    let timing = Timing {
        for_ms: 60_000,
        keep_firing_for_ms: 0,
    };
    assert_eq!(
        step(Some(young), Observation::Hit, 30_000, timing),
        (
            Some(AlertState::Pending { active_at: 0 }),
            Some(Event::BackToPending)
        )
    );
}

proptest! {
    #[test]
    fn firing_follows_an_unbroken_run_of_hits_as_long_as_for(
        script in "[x.]{1,40}", for_s in 0i64..6, keep_s in 0i64..4,
    ) {
        let (shown, events) = play(&script, for_s, keep_s);
        let seconds: Vec<char> = script.chars().collect();
        for (second, event) in &events {
            let second = *second as usize;
            match event {
                Event::Fired => {
                    let needed = second.checked_sub(for_s as usize);
                    prop_assert!(needed.is_some());
                    prop_assert!(seconds[needed.unwrap()..=second].iter().all(|c| *c == 'x'));
                }
                Event::Resolved => {
                    let first = second.saturating_sub(keep_s as usize);
                    prop_assert!(seconds[first..=second].iter().all(|c| *c == '.'));
                }
                _ => {}
            }
        }
        let fired = events.iter().filter(|(_, event)| *event == Event::Fired).count();
        let resolved = events.iter().filter(|(_, event)| *event == Event::Resolved).count();
        prop_assert_eq!(fired, resolved + usize::from(shown.ends_with('f')));
    }
}
