export type Role = 'admin' | 'member';
export type UserStatus = 'pending' | 'active' | 'suspended';
export type VideoStatus = 'processing' | 'ready' | 'failed';

export interface User {
  id: string;
  login_id: string;
  display_name: string;
  role: Role;
  status: UserStatus;
  can_upload: boolean;
  created_at?: string;
}

export interface Page<Item> {
  items: Item[];
  page: number;
  page_size: number;
  total: number;
}

export interface Poster {
  width: number;
  url: string;
}

export interface VideoSummary {
  id: string;
  title: string;
  description: string | null;
  duration_sec: number | null;
  thumbnail_url: string | null;
  /** A blurred placeholder of the thumbnail, in Base64. */
  thumbhash?: string | null;
  posters?: Poster[];
  status: VideoStatus;
  failure_code: string | null;
  failure_reason: string | null;
  created_at: string;
  /** `lsv`: only the player of protected films plays it. */
  protection?: 'lsv' | null;
}

export type SearchKind = 'video' | 'series' | 'highlight' | 'subtitle';

export interface SearchResult {
  kind: SearchKind;
  title: string;
  video: VideoSummary;
  /** Parts of the title that match: first character and the one after the last, in code points. */
  spans: [number, number][];
  position_sec?: number;
}

export interface Suggestions {
  items: SearchResult[];
  did_you_mean?: string;
}

export type SearchPage = Suggestions & Page<SearchResult>;

export interface AudioTrack {
  language: string;
  title: string;
  codec: string;
  channels: number;
}

export interface VideoDetail extends VideoSummary {
  mime_type: string | null;
  width: number | null;
  height: number | null;
  uploader_id: string | null;
  series_id: string | null;
  tags?: string[];
  season?: number | null;
  episode?: number | null;
  media?: { audio: AudioTrack[] } | null;
  /** WebVTT with small pictures of the whole film. */
  storyboard_url?: string | null;
}

/** Subtitles of a video, as WebVTT. */
export interface SubtitleTrack {
  track: string;
  /** BCP 47; `und` for unknown. */
  language: string;
  title: string;
  forced: boolean;
  sdh: boolean;
  url: string;
}

export interface StreamInfo {
  content_id: string;
  duration: number | null;
  file_size: number | null;
  mime_type: string | null;
  codecs: { video: string | null; audio: string | null } | null;
  resolution: { width: number; height: number } | null;
  bitrate: number | null;
  source: string | null;
  stream_url: string;
}

export type PlaySessionStatus = 'active' | 'queued';

interface PlaySessionFacts {
  session_id: string;
  heartbeat_sec: number;
}

/** What is drawn over the picture of a protected film. */
export interface Watermark {
  /** Names the viewer; the player adds the time. */
  text: string;
  /** 0 to 1. */
  opacity: number;
  /** Height of the letters, as a share of the picture's height. */
  size: number;
  /** From the beginning of one appearance to that of the next. */
  interval_sec: number;
  visible_sec: number;
}

/** The content key of a protected film, wrapped for one player; bytes are base64url. */
export interface KeyGrant {
  scope: string;
  server_public_key: string;
  wrapped_key: string;
  content_version: number;
  watermark?: Watermark | null;
}

/** Of protected films, in the answer to the request that began the session. */
type SessionKey = Partial<{ [Name in keyof KeyGrant]: KeyGrant[Name] | null }>;

/** A play session as its own player sees it. */
export type PlaySessionAnswer = PlaySessionFacts &
  (
    | ({ status: 'active'; stream_url: string; ticket: string } & SessionKey)
    | { status: 'queued'; position: number; retry_after_sec: number }
  );

/** A play session in its viewer's list. */
export interface WatchingDevice {
  session_id: string;
  status: PlaySessionStatus;
  device_name: string;
  video_id: string;
  title: string | null;
  since: string;
}

export interface LiveStream extends WatchingDevice {
  user_id: string;
  display_name: string | null;
  kind: 'explicit' | 'implicit';
  source: string;
  bytes_sent: number;
  rate_mbps: number;
  replica: string;
}

export interface StreamMetrics {
  active: number;
  queued: number;
  max_streams: number;
  stream_queue: number;
  /** Seconds until new sessions are granted again; more than 0 while the server restores its sessions. */
  opens_in_sec: number;
  users: number;
  replicas: number;
  bytes_sent: number;
  bandwidth_mbps: number;
  cache_hit_rate: number;
}

/** Quality of experience of one play session. */
export interface Qoe {
  startup_ms: number | null;
  stalls: number;
  stall_ms: number;
  dropped_frames: number;
}

export interface ProgressRecord {
  content_id: string;
  position: number;
  duration: number;
  progress_percent: number;
  completed: boolean;
  updated_at: string;
}

export interface ProgressWrite {
  position: number;
  duration: number;
  session_id: string;
  seq: number;
}

export interface HistoryEntry {
  video_id: string;
  position: number;
  duration: number;
  progress_percent: number;
  completed: boolean;
  updated_at: string;
  video: Pick<VideoSummary, 'id' | 'title' | 'duration_sec' | 'thumbnail_url'> | null;
}

export interface Health {
  status: string;
  services: Record<string, string>;
  dependencies: Record<string, string>;
}

export interface Registration {
  id: string;
  login_id: string;
  display_name: string;
  status: UserStatus;
}
