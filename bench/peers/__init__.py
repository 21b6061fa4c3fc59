"""What we're compared with. Each peer has the same bytes on the wire: `/stream`, `/hello`, `/short` and `POST /publish?n=`."""
