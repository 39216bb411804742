// A context that is cancelled with a reason, one that runs out of time, and a value that rides along.
package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

type tenant struct{} // a type of its own, so that nobody else has this key

func main() {
	day, cancel := context.WithCancelCause(context.Background())
	shift := context.WithValue(day, tenant{}, "north")

	name, ok := shift.Value(tenant{}).(string) // any in, any out
	fmt.Println("tenant:", name, ok)

	break_, free := context.WithTimeout(shift, 10*time.Millisecond)
	defer free() // vet complains if this is missing
	<-break_.Done()
	fmt.Println("break over:", errors.Is(context.Cause(break_), context.DeadlineExceeded))
	fmt.Println("shift over:", shift.Err() != nil)

	cancel(errors.New("the canal froze"))
	<-shift.Done()
	fmt.Println("shift over:", context.Cause(shift))
}
