"""The streaming core: an append-only event log, a feed that follows it, and streams that are cursors into it.

It knows nothing of pets, of Flask or of this product. What other rooms may use is named here.
"""

from petstore.sse.admission import Admission as Admission
from petstore.sse.background import Background as Background
from petstore.sse.cursor import MAX_LENGTH as MAX_LENGTH
from petstore.sse.cursor import Gap as Gap
from petstore.sse.cursor import Opening as Opening
from petstore.sse.cursor import Requested as Requested
from petstore.sse.cursor import not_ahead as not_ahead
from petstore.sse.cursor import open_at as open_at
from petstore.sse.cursor import read_id as read_id
from petstore.sse.cursor import read_since as read_since
from petstore.sse.decoder import Decoder as Decoder
from petstore.sse.decoder import Received as Received
from petstore.sse.error import Error as Error
from petstore.sse.error import InvalidCursor as InvalidCursor
from petstore.sse.error import LogUnavailable as LogUnavailable
from petstore.sse.error import Overtaken as Overtaken
from petstore.sse.event import COMPLETE as COMPLETE
from petstore.sse.event import DEFAULT_TYPE as DEFAULT_TYPE
from petstore.sse.event import ENDINGS as ENDINGS
from petstore.sse.event import ERROR as ERROR
from petstore.sse.event import Dialect as Dialect
from petstore.sse.event import Draft as Draft
from petstore.sse.event import Event as Event
from petstore.sse.event import Form as Form
from petstore.sse.event import dump as dump
from petstore.sse.event import encode as encode
from petstore.sse.event import encode_comment as encode_comment
from petstore.sse.event_log import EventLog as EventLog
from petstore.sse.event_log import Transaction as Transaction
from petstore.sse.feed import Feed as Feed
from petstore.sse.lease import Job as Job
from petstore.sse.loop import close_own_loop as close_own_loop
from petstore.sse.observer import Observer as Observer
from petstore.sse.observer import Silence as Silence
from petstore.sse.retention import Retention as Retention
from petstore.sse.selection import Selection as Selection
from petstore.sse.sql_event_log import SqlEventLog as SqlEventLog
from petstore.sse.sql_event_log import create_log as create_log
from petstore.sse.sql_event_log import metadata as metadata
from petstore.sse.stream import Stream as Stream
from petstore.sse.subscription import Subscription as Subscription
from petstore.sse.terms import Terms as Terms
from petstore.sse.terms import goodbye as goodbye
