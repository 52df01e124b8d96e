package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A contestant is one process that answers what it is asked, on its own or by asking the upstream.
type contestant struct {
	name    string
	fences  bool          // takes a token, and LogQL that is not fenced yet
	base    string        // where it is asked
	admin   string        // where it tells of its allocations; empty: it does not
	started time.Duration // from start to ready
	process *exec.Cmd
	log     *os.File
	again   func() (*contestant, error) // starts another like it; nil: its start is not measured
}

// start starts a process and waits until it says that it is ready, with its addresses: a line of JSON.
func start(ctx context.Context, folder, name string, env []string, command ...string) (*contestant, error) {
	log, err := os.Create(filepath.Join(folder, name+".log"))
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	c := &contestant{name: name, log: log}
	c.process = exec.CommandContext(ctx, command[0], command[1:]...) //nolint:gosec // what the caller builds
	c.process.Env = append(os.Environ(), env...)
	c.process.Cancel = func() error { return c.process.Process.Signal(syscall.SIGTERM) }
	c.process.WaitDelay = 5 * time.Second
	c.process.Stderr = log
	began := time.Now()
	if err := c.process.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", name, err), log.Close())
	}
	if err := c.awaitReady(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", name, err), c.stop())
	}
	c.started = time.Since(began)
	return c, nil
}

// awaitReady looks for the line in the log, which is a file so that writing it costs what it costs.
func (c *contestant) awaitReady(ctx context.Context) error {
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline) && ctx.Err() == nil; {
		text, err := os.ReadFile(c.log.Name())
		if err != nil {
			return fmt.Errorf("read its log: %w", err)
		}
		for line := range strings.Lines(string(text)) {
			var ready struct {
				Msg   string `json:"msg"`
				Addr  string `json:"addr"`
				Admin string `json:"admin_addr"`
			}
			if json.Unmarshal([]byte(line), &ready) == nil && ready.Msg == "ready" {
				c.base, c.admin = "http://"+ready.Addr, "http://"+ready.Admin
				return nil
			}
		}
		time.Sleep(time.Millisecond)
	}
	text, _ := os.ReadFile(c.log.Name())
	return fmt.Errorf("not ready; its log says: %s", text)
}

// stop ends the process.
func (c *contestant) stop() error {
	if c.process == nil {
		return nil
	}
	_ = c.process.Process.Signal(syscall.SIGTERM)
	_ = c.process.Wait() // the status of what was told to end
	return c.log.Close()
}

// cpu is what the process has used of processors by now, in nanoseconds: the system's and its own.
func (c *contestant) cpu() (time.Duration, error) {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", c.process.Process.Pid))
	if err != nil || len(threads) == 0 {
		return 0, fmt.Errorf("CPU time of %s: this needs Linux's /proc", c.name)
	}
	var total time.Duration
	for _, thread := range threads {
		text, err := os.ReadFile(thread)
		if err != nil {
			continue // it has ended meanwhile
		}
		first, _, _ := strings.Cut(string(text), " ")
		n, err := strconv.ParseInt(first, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("CPU time of %s: %w", c.name, err)
		}
		total += time.Duration(n)
	}
	return total, nil
}

// memory is one of the figures of /proc/PID/status, in bytes: VmHWM is the most that was resident, RssAnon
// what is and belongs to no file.
func (c *contestant) memory(field string) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.process.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("memory of %s: %w", c.name, err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			kilobytes, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 64)
			return kilobytes * 1024, err
		}
	}
	return 0, fmt.Errorf("memory of %s: no %s", c.name, field)
}

// metric reads one of the process's own metrics; 0 where it has none.
func (c *contestant) metric(ctx context.Context, name string) (float64, error) {
	if c.admin == "" {
		return 0, nil
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.admin+"/metrics", nil)
	if err != nil {
		return 0, fmt.Errorf("metrics of %s: %w", c.name, err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, fmt.Errorf("metrics of %s: %w", c.name, err)
	}
	defer answer.Body.Close() //nolint:errcheck // it has been read
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			_, _ = io.Copy(io.Discard, answer.Body)
			return strconv.ParseFloat(value, 64)
		}
	}
	return 0, fmt.Errorf("metrics of %s: no %s", c.name, name)
}
