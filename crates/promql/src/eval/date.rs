//! Calendar fields of Unix times, in UTC.

/// A civil date and time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Civil {
    pub(super) year: i64,
    /// 1 to 12.
    pub(super) month: i64,
    /// 1 to 31.
    pub(super) day: i64,
    pub(super) hour: i64,
    pub(super) minute: i64,
    days_since_epoch: i64,
}

impl Civil {
    /// The civil time of a Unix time in seconds; fractions are cut off.
    pub(super) fn from_unix(seconds: f64) -> Option<Self> {
        // Beyond this the day does not fit; NaN is no time either.
        let fits = seconds.abs() < 9e15;
        if !fits {
            return None;
        }
        let seconds = seconds as i64;
        let days = seconds.div_euclid(86_400);
        let of_day = seconds.rem_euclid(86_400);
        let (year, month, day) = civil_from_days(days);
        Some(Self {
            year,
            month,
            day,
            hour: of_day / 3_600,
            minute: of_day / 60 % 60,
            days_since_epoch: days,
        })
    }

    /// 0 on Sunday to 6 on Saturday.
    pub(super) fn weekday(self) -> i64 {
        // 1970-01-01 was a Thursday.
        (self.days_since_epoch + 4).rem_euclid(7)
    }

    /// 1 on the first of January.
    pub(super) fn day_of_year(self) -> i64 {
        self.days_since_epoch - days_from_civil(self.year, 1, 1) + 1
    }

    pub(super) fn days_in_month(self) -> i64 {
        let (year, month) = match self.month {
            12 => (self.year + 1, 1),
            month => (self.year, month + 1),
        };
        days_from_civil(year, month, 1) - days_from_civil(self.year, self.month, 1)
    }
}

/// Days since 1970-01-01 as a date, by eras of 400 years that begin in March.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_days() {
        let leap = Civil::from_unix(1_582_934_400.0).unwrap();
        assert_eq!((leap.year, leap.month, leap.day), (2020, 2, 29));
        assert_eq!((leap.weekday(), leap.day_of_year()), (6, 60));
        assert_eq!(leap.days_in_month(), 29);
        let before = Civil::from_unix(-1.0).unwrap();
        assert_eq!((before.year, before.hour, before.minute), (1969, 23, 59));
        assert_eq!(Civil::from_unix(f64::NAN), None);
    }

    proptest! {
        #[test]
        fn days_and_dates_are_each_others_inverse(days in -4_000_000_i64..4_000_000) {
            let (year, month, day) = civil_from_days(days);
            prop_assert_eq!(days_from_civil(year, month, day), days);
        }
    }
}
