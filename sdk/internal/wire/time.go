package wire

import (
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

func encodeTime(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// decodeTime takes any timestamp; what lies outside the years 1 to 9999 is found by validTime.
func decodeTime(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}

var (
	firstTime = time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)
	lastTime  = time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC)
)

// validTime reports whether a timestamp can carry t.
func validTime(t time.Time) bool { return !t.Before(firstTime) && !t.After(lastTime) }

func encodeDuration(d time.Duration) *durationpb.Duration {
	if d == 0 {
		return nil
	}
	return durationpb.New(d)
}

// decodeDuration takes any duration; one that is too long for Go is the longest.
func decodeDuration(d *durationpb.Duration) time.Duration { return d.AsDuration() }
