package main

import (
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

type managerKeyType struct{}

var managerKey managerKeyType

// manager is the socket of a service manager, as systemd has one.
type manager struct{ socket *net.UnixConn }

func startManager(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: manager")
	}
	dir, err := os.MkdirTemp("", "logfence") // not the script's: the path of a socket has room for 108 bytes
	ts.Check(err)
	ts.Defer(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	ts.Check(err)
	ts.Defer(func() { _ = socket.Close() })
	ts.Value(managerKey).(*manager).socket = socket
	ts.Setenv("NOTIFY_SOCKET", path)
}

func notified(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: notified <state>")
	}
	socket := ts.Value(managerKey).(*manager).socket
	ts.Check(socket.SetReadDeadline(time.Now().Add(time.Minute)))
	b := make([]byte, 1000)
	n, err := socket.Read(b)
	ts.Check(err)
	if got := string(b[:n]); got != args[0] {
		ts.Fatalf("notified of %q, want %q", got, args[0])
	}
}
