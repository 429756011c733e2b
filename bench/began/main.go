// Began is the child of `keyway run` in the benchmark: it says when it began, in nanoseconds since 1970.
package main

import (
	"os"
	"strconv"
	"time"
)

func main() {
	_, _ = os.Stdout.WriteString(strconv.FormatInt(time.Now().UnixNano(), 10))
}
