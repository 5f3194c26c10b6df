package dns

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
)

// The parts of a DNS message (RFC 1035, section 4.1) that a SOA query needs.
const (
	typeSOA, classIN = 6, 1
	headerSize       = 12
	maskQR           = 1 << 15 // it is an answer
	maskAA           = 1 << 10 // from the zone's own server
	maskRcode        = 0xf     // 0 when all is well
)

// querySOA asks server whether it is the authority for zone and has it loaded.
func querySOA(ctx context.Context, server, zone string) error {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "udp", server)
	if err != nil {
		return err
	}
	defer conn.Close()
	// A lost datagram is found out soon; whoever waits for readiness asks again.
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	query := soaQuery(zone)
	if _, err := conn.Write(query); err != nil {
		return err
	}
	answer := make([]byte, 512)
	n, err := conn.Read(answer)
	if err != nil {
		return err
	}
	if err := checkAnswer(query, answer[:n]); err != nil {
		return fmt.Errorf("SOA of %s from %s: %w", zone, server, err)
	}
	return nil
}

// soaQuery is a message with a random id and the one question.
func soaQuery(zone string) []byte {
	message := make([]byte, headerSize, 64)
	_, _ = rand.Read(message[:2])               // never fails
	binary.BigEndian.PutUint16(message[4:6], 1) // one question
	for label := range strings.SplitSeq(strings.TrimSuffix(zone, "."), ".") {
		message = append(append(message, byte(len(label))), label...)
	}
	message = append(message, 0) // the root label
	message = binary.BigEndian.AppendUint16(message, typeSOA)
	return binary.BigEndian.AppendUint16(message, classIN)
}

func checkAnswer(query, answer []byte) error {
	if len(answer) < headerSize || answer[0] != query[0] || answer[1] != query[1] {
		return errors.New("not an answer to the question")
	}
	flags := binary.BigEndian.Uint16(answer[2:4])
	switch {
	case flags&maskQR == 0:
		return errors.New("not an answer")
	case flags&maskRcode != 0:
		return fmt.Errorf("the server refuses with code %d", flags&maskRcode)
	case flags&maskAA == 0:
		return errors.New("the server is not the zone's authority")
	case binary.BigEndian.Uint16(answer[6:8]) == 0:
		return errors.New("the answer is empty")
	}
	return nil
}
