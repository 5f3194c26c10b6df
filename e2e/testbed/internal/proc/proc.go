// Package proc runs the test bed's long-running processes detached from the
// command that starts them, and finds, heals and ends exactly those again.
package proc
