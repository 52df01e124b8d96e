package config

import (
	"strings"
	"testing"
)

// TestBasePath guarantees that a base path is taken only where every proxy, browser and client reads it the same way, and that
// a mistake says what to write instead.
func TestBasePath(t *testing.T) {
	t.Parallel()
	for path, problem := range map[string]string{
		"/logs": "", "/portal/logs": "", "/a-b_c~1/X": "",
		"/":                               "leave it out",
		"logs":                            "does not begin with a slash",
		"portal/logs":                     "does not begin with a slash",
		"/logs/":                          "ends with a slash",
		"/logs//":                         "ends with a slash",
		"//portal":                        "double slash",
		"/portal//logs":                   "double slash",
		"/portal/../logs":                 "has a dot",
		"/./logs":                         "has a dot",
		"/logs.html":                      "has a dot",
		"/l%6fgs":                         "has an encoded character",
		"/portal%2Flogs":                  "has an encoded character",
		"/logs?x=1":                       "has a query or a fragment",
		"/logs#x":                         "has a query or a fragment",
		"https://portal.example.com/logs": "is a URL",
		"/lo gs":                          "is not allowed",
		"/lögs":                           "is not allowed",
		`/logs\x`:                         "is not allowed",
		"/logs;x":                         "is not allowed",
		"/" + strings.Repeat("x", 250):    "longer than 200 bytes",
	} {
		_, err := Load(append([]string{"LOGFENCE_BASE_PATH=" + path}, least...), "")
		switch {
		case problem == "" && err != nil:
			t.Errorf("%q: %v", path, err)
		case problem != "" && (err == nil || !strings.Contains(err.Error(), "LOGFENCE_BASE_PATH: ") || !strings.Contains(err.Error(), problem)):
			t.Errorf("%q: %v, want %q", path, err, problem)
		}
	}
	_, err := Load(append([]string{"LOGFENCE_BASE_PATH_STRIPPED=true"}, least...), "")
	if err == nil || !strings.Contains(err.Error(), "LOGFENCE_BASE_PATH_STRIPPED: there is no LOGFENCE_BASE_PATH") {
		t.Errorf("stripped without a base path: %v", err)
	}
}
