package limits

import (
	"fmt"
	"runtime/debug"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// defaultMemory is the budget of a process without any limit of memory.
const defaultMemory = 256 << 20

// DefaultMemory is the budget where none is configured: half of the smaller of Go's limit of memory (GOMEMLIMIT)
// and that of the control group that the process runs in, version 1 or 2; 256 MiB where there is neither. The
// other half is for what is not in the budget: connections, responses that are streamed, caches, and what the garbage
// collector has not yet found.
func DefaultMemory() int64 {
	limit := debug.SetMemoryLimit(-1) // a negative one only reads
	if group, err := memlimit.FromCgroup(); err == nil && group > 0 && group < noLimit {
		limit = min(limit, int64(group))
	}
	if limit >= noLimit {
		return defaultMemory
	}
	return limit / 2
}

// noLimit is more than any machine has: version 1 of control groups writes no limit as a number of pages.
const noLimit = 1 << 50

// memoryBudget is the budget of a configuration.
func (c Config) memoryBudget() (int64, error) {
	if c.Memory != 0 {
		return c.Memory, nil
	}
	budget := DefaultMemory()
	if budget < MinMemory {
		return 0, fmt.Errorf("half of the process's memory limit is %d MiB, and the memory budget has to be at least %d MiB; raise GOMEMLIMIT or the container's limit, or set the budget",
			budget>>20, MinMemory>>20)
	}
	return budget, nil
}
