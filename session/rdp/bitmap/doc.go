// Package bitmap decodes the pictures that a console sends over RDP: rows as they are,
// interleaved run lengths of 8, 15, 16 and 24 bits (MS-RDPBCGR 3.1.9), and planes of 32
// bits (MS-RDPEGDI 3.1.9). It knows nothing of connections, and trusts no byte.
package bitmap
