package demo

import (
	"os"
	"os/exec"
	"runtime"
	"time"
)

// child is a process of ours: it is always waited for, and where the system can do that it dies
// with us even when we are killed.
type child struct {
	process *os.Process
	done    chan struct{} // closed when the process has ended and has been waited for
	err     error         // how it ended; to be read after done
}

// startChild starts cmd in a process group of its own, so that a terminal's Ctrl-C reaches us alone
// and the children are stopped in order.
func startChild(cmd *exec.Cmd) (*child, error) {
	cmd.SysProcAttr = childAttr()
	c := &child{done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		defer close(c.done)
		// The parent-death signal is tied to the thread that forks, not to the process: were that
		// thread to end, the child would be killed in the middle of its work. Keep the thread until
		// the child has ended.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		c.process = cmd.Process
		started <- err
		if err == nil {
			c.err = cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		<-c.done
		return nil, err
	}
	return c, nil
}

// ended reports whether the process is gone.
func (c *child) ended() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// stop sends a signal to the process and its group, kills them when they have not within grace, and
// returns when they are gone.
func (c *child) stop(signal os.Signal, grace time.Duration) {
	if c.ended() {
		return
	}
	signalGroup(c.process, signal)
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-c.done:
	case <-timer.C:
		c.kill()
	}
}

// kill ends the process and its group at once and returns when the process is gone.
func (c *child) kill() {
	if !c.ended() {
		signalGroup(c.process, os.Kill)
	}
	<-c.done
}
