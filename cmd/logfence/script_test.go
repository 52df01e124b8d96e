package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/logfence/logfence/internal/demo"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"logfence": main})
}

// TestScript runs the transcripts in testdata/script: each is what an operator sees.
//
// Beside the usual commands they have:
//
//	exits <status> <command>…    runs a command that must end with just this status
//	serve [argument]…            starts logfence serve, and sets $ADDR and $ADMIN_ADDR when it is ready
//	stop <signal>                sends it to what serve started; it must end with status 0
//	signal <signal>              sends it, and waits for nothing
//	says <message>               waits for the line that has the message
//	dies                         waits for what serve started to end by a signal
//	hangup <message>             sends it SIGHUP, and waits for the line that has the message
//	get <status> <url> [token]   sends a request, and shows the response's body as stdout
//	manager                      has a service manager's socket in $NOTIFY_SOCKET
//	notified <state>             waits until the manager is notified of the state
//	expand <file>                replaces $NAME in the file by the script's variables
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup:               setup,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "serve": serve, "stop": stopServing, "signal": signalServing, "says": says, "dies": dies, "hangup": hangup, "get": get, "expand": expand,
			"manager": startManager, "notified": notified,
		},
	})
}

// setup gives each script a Loki, one that is too old, one that is not there, and two issuers, each with a
// token of its own that names acme.
func setup(e *testscript.Env) error {
	for name, version := range map[string]string{"LOKI": "3.7.8", "OLD_LOKI": "2.9.1"} {
		server := httptest.NewServer(fakeLoki(version))
		e.Defer(server.Close)
		e.Setenv(name, server.URL)
	}
	gone := httptest.NewServer(nil)
	gone.Close()
	e.Setenv("NO_LOKI", gone.URL)

	for prefix, claims := range map[string]demo.Claims{
		"": {Subject: "alice", Tenant: "acme"}, "OTHER_": {Subject: "mallory", Tenant: "acme"},
	} {
		issuer, err := demo.StartIssuer(context.Background())
		if err != nil {
			return err
		}
		e.Defer(func() { _ = issuer.Close() })
		token, err := issuer.Token(claims)
		if err != nil {
			return err
		}
		e.Setenv(prefix+"ISSUER", issuer.URL())
		e.Setenv(prefix+"TOKEN", token)
	}
	e.Values[servedKey] = &served{}
	e.Values[managerKey] = &manager{}
	return nil
}

// fakeLoki reports its version, and serves a query that is fenced.
func fakeLoki(version string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ready\n") })
	mux.HandleFunc("GET /loki/api/v1/status/buildinfo", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json; charset=UTF-8")
		_, _ = fmt.Fprintf(w, `{"version":%q}`, version)
	})
	mux.HandleFunc("/loki/api/v1/query", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json; charset=UTF-8")
		_, _ = io.WriteString(w, `{"status":"success","data":{"resultType":"vector","result":[],"stats":{}}}`)
	})
	mux.HandleFunc("/loki/api/v1/query_range", func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.FormValue("query"), `{tenant_id="acme",`) {
			http.Error(w, "not fenced", http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json; charset=UTF-8")
		_, _ = io.WriteString(w, `{"status":"success","data":{"resultType":"streams","result":[{"stream":{"app":"web","tenant_id":"acme"},`+
			`"values":[["1700000000000000000","a line of acme"]]}],"stats":{}}}`)
	})
	return mux
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits <status> <command>…")
	}
	err := ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	status := "0"
	if errors.As(err, &exit) {
		status = fmt.Sprint(exit.ExitCode())
	} else {
		ts.Check(err)
	}
	if status != args[0] {
		ts.Fatalf("exit status %s, want %s", status, args[0])
	}
}

type servedKeyType struct{}

var servedKey servedKeyType

// served is the logfence that a script has started.
type served struct {
	command *exec.Cmd
	log     []string
	lines   chan string
}

func serve(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("usage: serve [argument]…")
	}
	s := ts.Value(servedKey).(*served)
	s.command = exec.Command("logfence", append([]string{"serve"}, args...)...)
	s.command.Dir = ts.MkAbs(".")
	s.command.Env = environment(ts)
	stderr, err := s.command.StderrPipe()
	ts.Check(err)
	ts.Check(s.command.Start())
	ts.Defer(func() { _ = s.command.Process.Kill() }) // it has ended, if all went well
	s.lines = make(chan string)
	go func() {
		defer close(s.lines)
		for scanner := bufio.NewScanner(stderr); scanner.Scan(); {
			s.lines <- scanner.Text()
		}
	}()
	timeout := time.After(time.Minute)
	for {
		select {
		case line, ok := <-s.lines:
			if !ok {
				ts.Fatalf("it ended before it was ready: %v\n%s", s.command.Wait(), strings.Join(s.log, "\n"))
			}
			s.log = append(s.log, line)
			var ready struct {
				Msg       string
				Addr      string
				AdminAddr string `json:"admin_addr"`
			}
			if json.Unmarshal([]byte(line), &ready) == nil && ready.Msg == "ready" {
				ts.Setenv("ADDR", ready.Addr)
				ts.Setenv("ADMIN_ADDR", ready.AdminAddr)
				return
			}
		case <-timeout:
			ts.Fatalf("it was not ready in a minute:\n%s", strings.Join(s.log, "\n"))
		}
	}
}

// environment is the script's: what it has set of ours, and where commands are.
func environment(ts *testscript.TestScript) []string {
	env := []string{"PATH=" + ts.Getenv("PATH"), "HOME=" + ts.Getenv("HOME")}
	for _, name := range []string{
		"LOKI_URL", "JWT_ISSUER", "JWT_AUDIENCE", "JWT_JWKS_URL", "DANGEROUSLY_ALLOW_HTTP_JWKS", "ADDR", "ADMIN_ADDR", "LOKI_COMPAT", "DRAIN_DELAY",
		"TLS_CERT_FILE", "TLS_KEY_FILE", "AUDIT_LOG", "AUDIT_QUERIES", "AUDIT_REQUIRED", "LIMITS_FILE", "MAX_LINES",
	} {
		if value := ts.Getenv("LOGFENCE_" + name); value != "" {
			env = append(env, "LOGFENCE_"+name+"="+value)
		}
	}
	if socket := ts.Getenv("NOTIFY_SOCKET"); socket != "" {
		env = append(env, "NOTIFY_SOCKET="+socket)
	}
	return slices.Clip(env)
}

func signalServing(ts *testscript.TestScript, neg bool, args []string) {
	signals := map[string]os.Signal{"INT": os.Interrupt, "TERM": syscall.SIGTERM, "HUP": syscall.SIGHUP}
	if neg || len(args) != 1 || signals[args[0]] == nil {
		ts.Fatalf("usage: stop|signal INT|TERM|HUP")
	}
	ts.Check(ts.Value(servedKey).(*served).command.Process.Signal(signals[args[0]]))
}

func dies(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: dies")
	}
	s := ts.Value(servedKey).(*served)
	timeout := time.AfterFunc(time.Minute, func() { _ = s.command.Process.Kill() })
	defer timeout.Stop()
	for line := range s.lines {
		s.log = append(s.log, line)
	}
	err := s.command.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGTERM {
		ts.Fatalf("it ended with %v:\n%s", err, strings.Join(s.log, "\n"))
	}
}

func stopServing(ts *testscript.TestScript, neg bool, args []string) {
	signalServing(ts, neg, args)
	s := ts.Value(servedKey).(*served)
	timeout := time.AfterFunc(time.Minute, func() { _ = s.command.Process.Kill() })
	defer timeout.Stop()
	for line := range s.lines {
		s.log = append(s.log, line)
	}
	if err := s.command.Wait(); err != nil {
		ts.Fatalf("it ended with %v:\n%s", err, strings.Join(s.log, "\n"))
	}
	_, err := fmt.Fprintln(ts.Stdout(), strings.Join(s.log, "\n"))
	ts.Check(err)
}

func hangup(ts *testscript.TestScript, neg bool, args []string) {
	ts.Check(ts.Value(servedKey).(*served).command.Process.Signal(syscall.SIGHUP))
	says(ts, neg, args)
}

func says(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: hangup|says <message>")
	}
	s := ts.Value(servedKey).(*served)
	timeout := time.AfterFunc(time.Minute, func() { _ = s.command.Process.Kill() })
	defer timeout.Stop()
	for line := range s.lines {
		s.log = append(s.log, line)
		if strings.Contains(line, args[0]) {
			return
		}
	}
	ts.Fatalf("it ended without saying %q:\n%s", args[0], strings.Join(s.log, "\n"))
}

func expand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: expand <file>")
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(os.Expand(ts.ReadFile(args[0]), ts.Getenv)), 0o600))
}

func get(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: get <status> <url> [token]")
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, args[1], nil)
	ts.Check(err)
	if len(args) == 3 {
		request.Header.Set("Authorization", "Bearer "+args[2])
	}
	response, err := http.DefaultClient.Do(request)
	ts.Check(err)
	body, err := io.ReadAll(response.Body)
	ts.Check(errors.Join(err, response.Body.Close()))
	if got := fmt.Sprint(response.StatusCode); got != args[0] {
		ts.Fatalf("GET %s: %s, want %s\n%s", args[1], got, args[0], body)
	}
	_, err = ts.Stdout().Write(body)
	ts.Check(err)
}
