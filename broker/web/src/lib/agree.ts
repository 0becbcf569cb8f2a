// Makes the type checker compare types.ts with what the broker describes in its
// openapi.json. Nothing here runs. Where the two part, the checker names the place:
// "Asset.services[].port".
import type { components } from './openapi';
import type * as T from './types';

type S = components['schemas'];

// A list is never null here, though the description allows it. Of texts the description
// often says no more than that they are texts; where it lists them, ours are the same.
// It cannot say that an object may be null; where ours may, only the object is compared.
type Parts<O, D, At extends string> = unknown extends D
  ? never
  : [NonNullable<D>] extends [readonly unknown[]]
    ? [O] extends [readonly unknown[]]
      ? Parts<O[number], NonNullable<D>[number], `${At}[]`>
      : At
    : [NonNullable<D>] extends [object]
      ? [NonNullable<O>] extends [object]
        ? Fields<NonNullable<O>, NonNullable<D>, At>
        : At
      : string extends D
        ? [O] extends [D] ? ([Extract<D, null>] extends [Extract<O, null>] ? never : At) : At
        : [O] extends [D] ? ([D] extends [O] ? never : At) : At;

type Fields<O, D, At extends string> =
  | { [K in (keyof O | keyof D) & string]: K extends keyof O ? (K extends keyof D ? Field<O, D, K, `${At}.${K}`> : `${At}.${K}`) : `${At}.${K}` }[(keyof O | keyof D) & string];
type Field<O, D, K extends keyof O & keyof D, At extends string> = Maybe<O, K> extends Maybe<D, K> ? Parts<Required<O>[K], Required<D>[K], At> : At;
type Maybe<X, K extends keyof X> = object extends Pick<X, K> ? true : false;

type Agree<P extends never> = P;
export type Agreed = Agree<
  | Parts<T.Person, S['Person'], 'Person'>
  | Parts<T.Problem, Omit<S['Problem'], 'title' | 'detail'>, 'Problem'>
  | Parts<T.Me, S['Login'], 'Me'>
  | Parts<T.LoginEntry, S['LoginEntry'], 'LoginEntry'>
  | Parts<T.Asset, S['Asset'], 'Asset'>
  | Parts<T.Standing, S['AssetState'], 'Standing'>
  | Parts<T.Approved, S['Approved'], 'Approved'>
  | Parts<T.Request, S['Request'], 'Request'>
  | Parts<T.Denied, S['Denied'], 'Denied'>
  | Parts<T.Documents, S['Documents'], 'Documents'>
  | Parts<T.Context, S['Context'], 'Context'>
  | Parts<T.PastSession, S['PastSession'], 'PastSession'>
  | Parts<T.Access, S['Answer'], 'Access'>
  | Parts<T.Session, S['Session'], 'Session'>
  | Parts<T.Review, S['Review'], 'Review'>
  | Parts<T.Verdict, S['Verdict'], 'Verdict'>
  | Parts<T.Digest, S['Digest'], 'Digest'>
  | Parts<T.Recording, S['Recording'], 'Recording'>
  | Parts<T.Marker, S['Marker'], 'Marker'>
  | Parts<T.Replay, S['Replay'], 'Replay'>
  | Parts<T.ReplayPart, S['ReplayPart'], 'ReplayPart'>
  | Parts<T.Transcript, S['Transcript'], 'Transcript'>
  | Parts<T.TranscriptLine, S['TranscriptLine'], 'TranscriptLine'>
  | Parts<T.AuditEvents, S['AuditEvents'], 'AuditEvents'>
  | Parts<T.Engineer, S['Engineer'], 'Engineer'>
>;
