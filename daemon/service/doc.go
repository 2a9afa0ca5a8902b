// Package service is what makes a fobd a service: the socket that systemd hands over, what systemd is told (sd_notify(3)),
// the watchdog, the journal, the end after a while without clients, and fob.Service, which tells how it goes.
//
// Everything works without systemd too: the socket is our own then, nobody is told, and the log goes to standard error.
package service
