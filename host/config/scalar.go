package config

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/keyway-dev/keyway/host/internal/suggest"
)

// parse reads one scalar, as the file has it, into x. Its errors say what must stand there and do not quote the text.
func (f field) parse(text string, x reflect.Value) error {
	if len(f.enum) > 0 && !slices.Contains(f.enum, text) {
		return fmt.Errorf("must be %s%s", oneOf(f.enum), suggest.Hint(text, f.enum))
	}
	switch {
	case f.typ == accessType:
		var a Access
		err := a.UnmarshalText([]byte(text))
		x.SetUint(uint64(a))
		return err
	case f.typ == durationType:
		d, err := parseDuration(text)
		if err == nil && d == 0 && f.off {
			d = Off
		}
		x.SetInt(int64(d))
		return err
	case f.form == "size":
		n, err := parseSize(text)
		x.SetInt(n)
		return err
	case f.form == "rate":
		r, err := parseRate(text)
		x.SetFloat(r)
		return err
	case f.typ.Kind() == reflect.Int:
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil || n < 0 {
			return errors.New("must be a whole number of 0 or more")
		}
		x.SetInt(n)
	case f.typ.Kind() == reflect.Bool:
		if text != "true" && text != "false" {
			return errors.New("must be true or false")
		}
		x.SetBool(text == "true")
	default:
		x.SetString(text)
	}
	return nil
}

// format writes a scalar as the file has it; parse undoes it.
func (f field) format(x reflect.Value) string {
	switch {
	case f.typ == accessType:
		return Access(x.Uint()).String()
	case f.typ == durationType:
		return formatDuration(max(0, time.Duration(x.Int())))
	case f.form == "size":
		return formatSize(x.Int())
	case f.form == "rate":
		return formatRate(x.Float())
	}
	return fmt.Sprint(x.Interface())
}

// The forms of the scalars with a unit: the decoder takes these, and the JSON Schema says them.
const (
	durationForm = `^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$`
	sizeForm     = `^([0-9]+)([KMGT]iB|B)?$`
	rateForm     = `^([0-9]+(?:\.[0-9]+)?)/([smh])$`
)

var (
	durationPattern = regexp.MustCompile(durationForm)
	sizePattern     = regexp.MustCompile(sizeForm)
	ratePattern     = regexp.MustCompile(rateForm)
)

func parseDuration(text string) (time.Duration, error) {
	if strings.HasPrefix(text, "-") {
		return 0, errors.New("must not be negative")
	}
	d, err := time.ParseDuration(text)
	if err != nil || !durationPattern.MatchString(text) {
		return 0, errors.New("must be a duration such as 500ms, 30s, 5m or 1h30m")
	}
	return d, nil
}

// formatDuration leaves the zero parts of time.Duration's text away: 1h, not 1h0m0s.
func formatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

var sizeUnits = map[string]int64{"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}

func parseSize(text string) (int64, error) {
	if m := sizePattern.FindStringSubmatch(text); m != nil {
		unit := sizeUnits[m[2]]
		if n, err := strconv.ParseInt(m[1], 10, 64); err == nil && n <= math.MaxInt64/unit {
			return n * unit, nil
		}
	}
	return 0, errors.New("must be a size such as 512KiB, 64MiB or 1GiB, or a number of bytes")
}

func formatSize(n int64) string {
	for _, unit := range []string{"TiB", "GiB", "MiB", "KiB"} {
		if b := sizeUnits[unit]; n != 0 && n%b == 0 {
			return strconv.FormatInt(n/b, 10) + unit
		}
	}
	return strconv.FormatInt(n, 10)
}

var ratePeriods = map[string]float64{"s": 1, "m": 60, "h": 3600}

func parseRate(text string) (float64, error) {
	if m := ratePattern.FindStringSubmatch(text); m != nil {
		if n, err := strconv.ParseFloat(m[1], 64); err == nil && n <= maxRate {
			return n / ratePeriods[m[2]], nil
		}
	}
	return 0, errors.New("must be a rate such as 50/s, 100/m or 1000/h")
}

// maxRate bounds a rate's number, so that no arithmetic on it overflows.
const maxRate = 1e9

// formatRate writes a rate per the shortest period that gives a whole number, else per second.
func formatRate(r float64) string {
	for _, period := range []string{"s", "m", "h"} {
		n := math.Round(r * ratePeriods[period])
		if n/ratePeriods[period] == r {
			return strconv.FormatFloat(n, 'f', -1, 64) + "/" + period
		}
	}
	return strconv.FormatFloat(r, 'f', -1, 64) + "/s"
}
