package conformance

import (
	"net/http"
	"testing"

	"github.com/logfence/logfence/internal/lokitest"
)

// as is a request of alpha's.
func as(method, target string, header ...field) request {
	h := []field{{"Host", "logfence.example"}, {"Authorization", "Bearer " + alphaToken}}
	return request{method: method, target: target, header: append(h, header...), may: alpha}
}

// TestRegressions holds the faults that TestHostileRequests has found.
func TestRegressions(t *testing.T) {
	t.Parallel()
	d, err := theSpec()
	if err != nil {
		t.Fatal(err)
	}
	g := newGateway(t)
	const tail = "/loki/api/v1/tail?query=%7Bapp%3D%22checkout%22%7D"
	handshake := []field{{"Connection", "Upgrade"}, {"Upgrade", "websocket"}}
	for _, tt := range []struct {
		name    string
		request request
		status  int
	}{
		// The connection broke without a response: the key was checked too late.
		{"a WebSocket's key that is none", as("GET", tail, append(handshake, field{"Sec-WebSocket-Version", "13"}, field{"Sec-WebSocket-Key", "short"})...), 426},
		{"two versions of WebSocket", as("GET", tail, append(handshake, field{"Sec-WebSocket-Version", "13, 12"}, field{"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="})...), 426},
	} {
		if status, err := g.hold(d, tt.request); err != nil || status != tt.status {
			t.Errorf("%s: %d %v, want %d", tt.name, status, err, tt.status)
		}
	}
}

// TestTheJudge guarantees that what TestHostileRequests looks for would be seen.
func TestTheJudge(t *testing.T) {
	t.Parallel()
	d, err := theSpec()
	if err != nil {
		t.Fatal(err)
	}
	labels, export, nowhere := as("GET", "/api/v1/logs/labels"), as("GET", "/api/v1/logs/export?query=%7B%7D"), as("GET", "/nowhere")
	tail := as("GET", "/api/v1/logs/tail?query=%7B%7D")
	const problem = `{"type":"/docs/problems#unauthorized","title":"x","status":401,"detail":"x","code":"unauthorized","request_id":"x"}`
	replyWith := func(status int, media, body string, header ...string) reply {
		h := http.Header{"X-Request-Id": {"x"}, "Content-Type": {media}}
		for i := 0; i+1 < len(header); i += 2 {
			h.Set(header[i], header[i+1])
		}
		return reply{status: status, header: h, body: []byte(body)}
	}
	for _, tt := range []struct {
		name    string
		request request
		reply   reply
		good    bool
	}{
		{"as declared", labels, replyWith(200, "application/json", `{"status":"success","data":["app"]}`), true},
		{"a problem", labels, replyWith(401, "application/problem+json", problem, "WWW-Authenticate", "Bearer"), true},
		{"no such status", labels, replyWith(418, "application/problem+json", problem), false},
		{"another status's code", labels, replyWith(400, "application/problem+json", problem), false},
		{"another media type", labels, replyWith(200, "text/html", `<p>`), false},
		{"another shape", labels, replyWith(200, "application/json", `{"status":"success","data":"app"}`), false},
		{"a header is missing", labels, replyWith(401, "application/problem+json", problem), false},
		{"not found, and it is in the spec", labels, replyWith(404, "application/problem+json", problem), false},
		{"a line of another shape", export, replyWith(200, "application/x-ndjson", "{\"x\":1}\n", "Content-Disposition", "attachment"), false},
		{"a tail's event", tail, replyWith(200, "text/event-stream", "event: mode\ndata: {\"mode\":\"poll\",\"detail\":\"x\"}\n\n", "Cache-Control", "no-store"), true},
		{"an event of another shape", tail, replyWith(200, "text/event-stream", "event: mode\ndata: {\"mode\":\"push\",\"detail\":\"x\"}\n\n", "Cache-Control", "no-store"), false},
		{"another event", tail, replyWith(200, "text/event-stream", "event: x\ndata: {}\n\n", "Cache-Control", "no-store"), false},
		{"not found", nowhere, replyWith(404, "application/problem+json", problem), true},
		{"not found, as a page", nowhere, replyWith(404, "text/html", `<p>`), false},
		{"found, and it is not in the spec", nowhere, replyWith(200, "application/json", `{}`), false},
		{"no method, and no Allow header", nowhere, replyWith(405, "application/problem+json", problem), false},
		{"text for Loki's clients", as("GET", "/loki/api/v1/push"), replyWith(404, "text/plain; charset=UTF-8", "x"), true},
		{"a problem for Loki's clients", as("GET", "/loki/api/v1/push"), replyWith(404, "application/problem+json", problem), false},
		{"no request id", labels, reply{status: 200, header: http.Header{}}, false},
	} {
		if _, err := d.check(tt.request, tt.reply); (err == nil) != tt.good {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	for _, tt := range []struct {
		text string
		may  []string
		good bool
	}{
		{`{tenant_id="alpha",app="x"}`, alpha, true},
		{`{tenant_id=~"alpha|gamma",app="x"}`, both, true},
		{`{tenant_id=~"alpha|gamma",app="x"}`, alpha, false},
		{`{tenant_id=~"alpha.*",app="x"}`, alpha, false},
		{`{tenant_id!="beta",app="x"}`, alpha, false},
		{`{app="x"}`, alpha, false},
		{`rate({tenant_id="alpha",app="x"}[1m]) / rate({app="x"}[1m])`, alpha, false},
		{`label_replace(rate({app="x"}[1m]), "a", "$1", "b", "(.*)")`, alpha, false},
		{`{tenant_id="alpha"`, alpha, false},
		{`{tenant_id="alpha"}`, nil, false},
		{`vector(1)`, alpha, true},
	} {
		if err := confined(tt.text, tt.may); (err == nil) != tt.good {
			t.Errorf("%s for %v: %v", tt.text, tt.may, err)
		}
	}
}

// TestChecksFindLeaks guarantees that responses with others' logs, faults and requests of strangers at Loki
// would be seen, by taking one caller for another.
func TestChecksFindLeaks(t *testing.T) {
	t.Parallel()
	d, err := theSpec()
	if err != nil {
		t.Fatal(err)
	}
	g := newGateway(t)
	wide := as("GET", "/api/v1/logs/query?query=%7B%7D")
	wide.header[1].value = "Bearer " + bothToken
	stranger, follower := as("GET", "/api/v1/logs/labels"), as("GET", "/api/v1/logs/tail?query=%7B%7D")
	stranger.may, follower.may = nil, nil
	for name, r := range map[string]request{"another tenant's lines": wide, "a stranger": stranger, "a stranger's tail": follower} {
		if _, err := g.hold(d, r); err == nil {
			t.Errorf("%s: passed", name)
		}
	}
	if _, err := g.hold(d, as("GET", "/api/v1/logs/query?query=%7B%7D")); err != nil {
		t.Error(err)
	}
	g.loki.Instead(lokitest.Fail(http.StatusInternalServerError, "x"))
	if _, err := g.hold(d, as("GET", "/api/v1/logs/query?query=%7B%7D")); err == nil {
		t.Error("a fault: passed")
	}
}
