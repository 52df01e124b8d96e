package loki_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"

	"github.com/logfence/logfence/internal/loki"
)

// TestNotWhole guarantees that a response which ends in the middle of its JSON is a failure of Loki's, although whatever is in
// front of it has ended the response cleanly, and that its reader never gets as many bytes as were announced.
func TestNotWhole(t *testing.T) {
	const whole = `{"status":"success","data":{"resultType":"streams","result":[]}}`
	for _, tt := range []struct {
		name, body string
		ok         bool
	}{
		{"whole", whole, true},
		{"with a line break", whole + "\n", true},
		{"with much white space", whole + " \r\n\t\n", true},
		{"cut in a string", whole[:20], false},
		{"cut behind a string", whole[:18], false},
		{"cut behind a bracket", whole[:len(whole)-2], false},
		{"cut before white space", whole[:19] + "\n\n", false},
		{"nothing", "", false},
	} {
		for _, announced := range []bool{true, false} {
			t.Run(tt.name+" "+strconv.FormatBool(announced), func(t *testing.T) {
				server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Content-Type", "application/json; charset=UTF-8")
					if announced {
						w.Header().Set("Content-Length", strconv.Itoa(len(tt.body)))
						say(w, tt.body)
						return
					}
					for _, c := range []byte(tt.body) {
						say(w, string(c))
						w.(http.Flusher).Flush() //nolint:forcetypeassert // of net/http
					}
				}))
				t.Cleanup(server.Close)
				c := client(t, loki.Config{URL: server.URL})
				a, err := c.QueryRange(t.Context(), loki.RequestOptions{}, query(t, `{app="web"}`), rangeOf(noon))
				if err != nil {
					t.Fatal(err)
				}
				defer drop(a.Body)
				got, err := io.ReadAll(a.Body)
				switch {
				case tt.ok && (err != nil || string(got) != tt.body):
					t.Errorf("%q, %v", got, err)
				case !tt.ok && !errors.Is(err, loki.ErrFailed):
					t.Errorf("%q, %v; want ErrFailed", got, err)
				case !tt.ok && announced && len(got) > 0 && len(got) >= len(tt.body):
					t.Errorf("all %d bytes were read", len(got))
				}
			})
		}
	}
}
