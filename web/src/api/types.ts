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

export interface VideoSummary {
  id: string;
  title: string;
  description: string | null;
  duration_sec: number | null;
  thumbnail_url: string | null;
  status: VideoStatus;
  failure_reason: string | null;
  created_at: string;
}

export interface VideoDetail extends VideoSummary {
  mime_type: string | null;
  width: number | null;
  height: number | null;
  uploader_id: string | null;
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
  cache_hit: boolean;
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
