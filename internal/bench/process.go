package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A process is a program that the bench started. Its standard error goes to a file, so that writing it
// costs what it costs.
type process struct {
	addr, admin string
	ready       time.Duration // from start to ready
	cmd         *exec.Cmd
	ended       chan struct{}
}

// start starts a program and returns when it is ready: when it listens on addr, or, without an addr, when
// it has written a line of JSON with the message "ready" and its addresses.
func start(ctx context.Context, log, addr string, env []string, argv ...string) (*process, error) {
	file, err := os.Create(log)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", argv[0], err)
	}
	defer file.Close()                                                                                         //nolint:errcheck // the program has it open
	p := &process{addr: addr, cmd: exec.CommandContext(ctx, argv[0], argv[1:]...), ended: make(chan struct{})} //nolint:gosec // ours
	p.cmd.Env, p.cmd.Stderr = append(os.Environ(), env...), file
	p.cmd.Cancel = func() error { return p.cmd.Process.Signal(syscall.SIGTERM) }
	p.cmd.WaitDelay = 5 * time.Second
	began := time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", argv[0], err)
	}
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // who needs it finds it gone
	}()
	for deadline := time.After(time.Minute); !p.isReady(log); {
		select {
		case <-time.After(time.Millisecond):
			continue
		case <-p.ended:
		case <-deadline:
		}
		p.stop()
		text, _ := os.ReadFile(log)
		return nil, fmt.Errorf("start %s: not ready; its log: %s", argv[0], text)
	}
	p.ready = time.Since(began)
	return p, nil
}

func (p *process) isReady(log string) bool {
	if p.addr != "" {
		c, err := net.Dial("tcp", p.addr) //nolint:noctx // loopback
		return err == nil && c.Close() == nil
	}
	text, _ := os.ReadFile(log)
	for line := range strings.Lines(string(text)) {
		var l struct {
			Msg   string `json:"msg"`
			Addr  string `json:"addr"`
			Admin string `json:"admin_addr"`
		}
		if json.Unmarshal([]byte(line), &l) == nil && l.Msg == "ready" {
			p.addr, p.admin = l.Addr, l.Admin
			return true
		}
	}
	return false
}

// stop ends the process and returns when it is gone.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	<-p.ended
}

// cpu is the processor time that the process has used so far, to the nanosecond.
func (p *process) cpu() (time.Duration, error) {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", p.cmd.Process.Pid))
	if err != nil || len(threads) == 0 {
		return 0, errors.New("processor time: no Linux /proc/PID/task/*/schedstat, or the process has ended")
	}
	var total time.Duration
	for _, thread := range threads {
		text, err := os.ReadFile(thread)
		if err != nil {
			continue // the thread has ended meanwhile
		}
		first, _, _ := strings.Cut(string(text), " ")
		n, err := strconv.ParseInt(first, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("processor time: %w", err)
		}
		total += time.Duration(n)
	}
	return total, nil
}

// memory is a field of /proc/PID/status in bytes: VmRSS (resident), RssAnon (of it, what belongs to no
// file) or VmHWM (the most that was resident).
func (p *process) memory(field string) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("memory: %w", err)
	}
	_, rest, _ := strings.Cut(string(text), "\n"+field+":")
	var kilobytes float64
	if _, err := fmt.Sscan(rest, &kilobytes); err != nil {
		return 0, fmt.Errorf("memory: %s: %w", field, err)
	}
	return kilobytes * 1024, nil
}
