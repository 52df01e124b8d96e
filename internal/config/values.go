package config

import (
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/logfence/logfence/internal/audit"
)

// Each of these reads a value or returns a clause: what was read, and what to write instead.

func readDuration(s string) (time.Duration, string) {
	d, err := time.ParseDuration(s)
	if err == nil {
		return d, ""
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n >= 0 && n < 1e5 {
			return 0, fmt.Sprintf("%q is in days, which are not a unit here; did you mean %q?", s, strconv.Itoa(n*24)+"h")
		}
	}
	if _, err := strconv.Atoi(s); err == nil {
		return 0, fmt.Sprintf("%q has no unit; did you mean %q?", s, s+"s")
	}
	return 0, fmt.Sprintf("%q is not a duration; write a number and a unit, such as 30s, 5m or 720h", s)
}

func readNumber(s string) (int, string) {
	n, err := strconv.Atoi(s)
	if err == nil {
		return n, ""
	}
	if bare := strings.NewReplacer(",", "", "_", "", ".", "").Replace(s); bare != s {
		if _, err := strconv.Atoi(bare); err == nil {
			return 0, fmt.Sprintf("%q is not a whole number in digits alone; did you mean %q?", s, bare)
		}
	}
	return 0, fmt.Sprintf("%q is not a number; write it in digits, such as 5000", s)
}

func readSize(s string) (int, string) {
	n, problem := readLargeSize(s)
	if problem == "" && n > math.MaxInt32 {
		return 0, fmt.Sprintf("%q is too large; write less than 2048MiB", s)
	}
	return int(n), problem
}

// readLargeSize reads a size that may be larger than 2 GiB.
func readLargeSize(s string) (int64, string) {
	digits, factor := s, int64(1)
	for unit, f := range map[string]int64{"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40} {
		if cut, ok := strings.CutSuffix(s, unit); ok {
			digits, factor = cut, f
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	switch {
	case err != nil || digits[0] == '+':
		return 0, fmt.Sprintf("%q is not a size; write bytes, KiB or MiB, such as 16384 or 16KiB", s)
	case n < 0:
		return 0, fmt.Sprintf("%q is negative; write bytes, KiB or MiB, such as 16KiB", s)
	case n > math.MaxInt64/factor:
		return 0, fmt.Sprintf("%q is too large; write less than 8388608TiB", s)
	default:
		return n * factor, ""
	}
}

// readSwitch takes two words only: 1, yes and on mean different things in YAML and in other programs.
func readSwitch(s string) (bool, string) {
	switch s {
	case "true":
		return true, ""
	case "false":
		return false, ""
	default:
		return false, fmt.Sprintf("%q is neither; write true or false", s)
	}
}

func readList(t text) ([]string, string) {
	items := t.list
	if items == nil {
		items = strings.Split(t.value, ",")
	}
	list := make([]string, 0, len(items))
	for _, item := range items {
		item = strings.TrimSpace(item)
		if item == "" {
			return nil, "has an empty item; write the items with one comma between each"
		}
		list = append(list, item)
	}
	return list, ""
}

func readNetworks(t text) (audit.TrustedProxies, string) {
	list, problem := readList(t)
	if problem != "" {
		return audit.TrustedProxies{}, problem
	}
	networks, err := audit.ParseTrustedProxies(list)
	if err != nil {
		return audit.TrustedProxies{}, err.Error()
	}
	return networks, ""
}

func readLevel(s string) (slog.Level, string) {
	switch s {
	case "debug":
		return slog.LevelDebug, ""
	case "info":
		return slog.LevelInfo, ""
	case "warn":
		return slog.LevelWarn, ""
	case "error":
		return slog.LevelError, ""
	default:
		return 0, fmt.Sprintf("%q is not a level; write debug, info, warn or error", s)
	}
}

// readText takes a text as it is, but not with what nobody sees: the line break at the end of a
// secret's file is the classic.
func readText(s string) (string, string) {
	switch {
	case strings.TrimSpace(s) != s:
		return "", "begins or ends with white space; write it without"
	case strings.ContainsFunc(s, unicode.IsControl):
		return "", "has a control character in it; write it without"
	default:
		return s, ""
	}
}
