package gateway

import (
	"os"
	"runtime/debug"
)

// gcPercent lets the heap grow to three times what is alive before it is collected, not to twice: a tenth
// of a small response's processor time. What is alive is small, and the same for any response's size.
const gcPercent = 200

// tuneCollector sets what the operator has not by GOGC, and gives back what starting took.
func tuneCollector() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	debug.FreeOSMemory()
}
