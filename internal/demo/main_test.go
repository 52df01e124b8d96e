package demo

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// helperEnv makes the test binary another process for a test that needs one.
const helperEnv = "DEMO_TEST_HELPER"

// TestMain also guarantees that no test leaves a goroutine behind.
func TestMain(m *testing.M) {
	switch os.Getenv(helperEnv) {
	case "find":
		helperFind()
	case "start":
		helperStart()
	default:
		goleak.VerifyTestMain(m)
	}
}

// helperFind is a process that looks for Loki and prints where it is.
func helperFind() {
	found, err := Find(context.Background(), FindOptions{Progress: os.Stderr})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(found.Loki)
}

// helperStart is a process that starts Loki, prints its URL and waits to be killed.
func helperStart() {
	l, err := StartLoki(context.Background(), LokiOptions{Binary: os.Getenv(EnvLoki)})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(l.URL())
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
}
