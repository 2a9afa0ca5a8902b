// Command bare is the least that a service in Go can be which systemd starts for its socket: it answers each message
// with an empty one, and nothing else. Benchmarks compare fobd with it.
package main

import (
	"bufio"
	"net"
	"os"
)

func main() {
	l, err := net.FileListener(os.NewFile(3, "socket"))
	if err != nil {
		panic(err)
	}
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			for r := bufio.NewReader(c); ; {
				if _, err := r.ReadBytes(0); err != nil {
					return
				}
				if _, err := c.Write([]byte("{}\x00")); err != nil {
					return
				}
			}
		}()
	}
}
