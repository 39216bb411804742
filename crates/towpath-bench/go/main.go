// The Go side of towpath-bench: the same cells, the same work and the same checks, with goroutines and channels.
//
// Called as `bench LIB CELL OPS`, prints one line of JSON like the Rust child process does.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// workers is the number of tokio's workers in the Rust cells.
const workers = 2

type report struct {
	Status string  `json:"status"`
	Value  float64 `json:"value"`
	Why    string  `json:"why"`
}

func measured(value float64) report { return report{Status: "ok", Value: value} }

func unsupported() report { return report{Status: "unsupported"} }

func wrong(format string, args ...any) report {
	return report{Status: "fail", Why: "wrong: " + fmt.Sprintf(format, args...)}
}

func perOp(start time.Time, ops int) report {
	return measured(float64(time.Since(start).Nanoseconds()) / float64(ops))
}

func main() {
	runtime.GOMAXPROCS(workers)
	lib, cell := os.Args[1], os.Args[2]
	ops, err := strconv.Atoi(os.Args[3])
	if err != nil {
		panic(err)
	}
	json.NewEncoder(os.Stdout).Encode(sample(lib, cell, ops))
}

// sample takes a cell's name apart; names that Go has no answer for are unsupported.
func sample(lib, cell string, ops int) report {
	part := strings.FieldsFunc(cell, func(r rune) bool { return r == '/' || r == ':' })
	group, mode := part[0], part[1]
	if mode != "block" && mode != "async" {
		return unsupported() // Go has one kind of process only
	}
	if lib == "go-reflect" {
		if group != "sel" {
			return unsupported()
		}
		return selects(part[2], number(part[3]), number(part[4]), ops, true)
	}
	switch group {
	case "thr":
		if part[3] == "unb" {
			return unsupported()
		}
		if part[4] == "8" {
			return stream[p8](part[2], number(part[3]), ops)
		}
		return stream[p256](part[2], number(part[3]), ops)
	case "batch": // no batches in Go: message by message is what a program would write
		if part[3] == "unb" {
			return unsupported()
		}
		return stream[p8](part[2], number(part[3]), ops)
	case "ping":
		if part[2] == "unb" {
			return unsupported()
		}
		return ping(number(part[2]), ops)
	case "sel":
		return selects(part[2], number(part[3]), number(part[4]), ops, false)
	case "spawn":
		return spawn(ops)
	case "check":
		return check(part[2], ops)
	case "cancel":
		return cancelling(part[2], ops)
	case "idle":
		return idle(part[2], ops)
	}
	return unsupported()
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		panic(err)
	}
	return n
}
