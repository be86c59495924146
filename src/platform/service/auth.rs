//! Signing in and what a user does about its own way in, as the API has them. What lets somebody in is
//! decided in `identity`; here a provider's word becomes a user of ours.

use std::sync::Arc;

use super::users::shown;
use super::{ErrorKind, ServiceError};
use crate::clock::UnixMillis;
use crate::platform::Platform;
use crate::platform::api::{Answer, AuthService, Call, Guest};
use crate::platform::identity::oidc::settings::RoleSetting;
use crate::platform::identity::oidc::{ExternalIdentity, Oidc, OidcError};
use crate::platform::identity::{Access, ClientInfo, ExternalUser, Grants, Role, SignedIn};
use crate::wire::api::{
    BeginOidcSignInRequest, BeginOidcSignInResponse, BeginTotpRequest, BeginTotpResponse,
    ChangePasswordRequest, ChangePasswordResponse, CompleteOidcSignInRequest,
    CompleteOidcSignInResponse, ConfirmTotpRequest, ConfirmTotpResponse, DisableTotpRequest,
    DisableTotpResponse, GetMeRequest, GetMeResponse, GetSignInOptionsRequest,
    GetSignInOptionsResponse, RefreshTokensRequest, RefreshTokensResponse,
    RenewRecoveryCodesRequest, RenewRecoveryCodesResponse, SignInRequest, SignInResponse,
    SignOutRequest, SignOutResponse, Tokens,
};

impl AuthService for Platform {
    async fn sign_in(
        self: Arc<Self>,
        call: Guest,
        request: SignInRequest,
    ) -> Answer<SignInResponse> {
        let (now, client) = (UnixMillis::now(), client(call.address));
        let code = request.code.as_ref();
        let signed_in = self
            .identity
            .sign_in(now, &request.user, request.password, code, client)
            .await?;
        Ok(SignInResponse {
            tokens: Some(tokens(signed_in)),
        })
    }

    async fn refresh_tokens(
        self: Arc<Self>,
        call: Guest,
        request: RefreshTokensRequest,
    ) -> Answer<RefreshTokensResponse> {
        let (now, client) = (UnixMillis::now(), client(call.address));
        let next = self.identity.refresh(now, &request.refresh_token, client);
        Ok(RefreshTokensResponse {
            tokens: Some(tokens(next.await?)),
        })
    }

    async fn get_sign_in_options(
        self: Arc<Self>,
        _: Guest,
        _: GetSignInOptionsRequest,
    ) -> Answer<GetSignInOptionsResponse> {
        Ok(GetSignInOptionsResponse {
            oidc_provider: self.oidc.as_ref().map(|oidc| oidc.name().to_owned()),
        })
    }

    async fn begin_oidc_sign_in(
        self: Arc<Self>,
        call: Guest,
        request: BeginOidcSignInRequest,
    ) -> Answer<BeginOidcSignInResponse> {
        let oidc = self.oidc()?;
        self.identity
            .admit_address(UnixMillis::now(), call.address)?;
        let begun = oidc.begin(&request.redirect_uri).await?;
        Ok(BeginOidcSignInResponse {
            authorization_url: begun.authorization_url,
            state: begun.state,
        })
    }

    async fn complete_oidc_sign_in(
        self: Arc<Self>,
        call: Guest,
        request: CompleteOidcSignInRequest,
    ) -> Answer<CompleteOidcSignInResponse> {
        let oidc = self.oidc()?;
        let address = call.address;
        self.identity.admit_address(UnixMillis::now(), address)?;
        let completed = oidc
            .complete(request.state.expose(), request.code.expose())
            .await;
        let now = UnixMillis::now();
        let external = match completed {
            Ok(external) => external_user(external),
            Err(error) => {
                // A state that is none is anybody's guess; the rest was begun here.
                if error != OidcError::StateUnknown {
                    let identity = &self.identity;
                    let note = identity.note_failed_sign_in(now, "oidc", address, error.code());
                    note.await;
                }
                return Err(error.into());
            }
        };
        let signed_in = self
            .identity
            .sign_in_external(now, external, client(address))
            .await?;
        Ok(CompleteOidcSignInResponse {
            tokens: Some(tokens(signed_in)),
        })
    }

    async fn sign_out(self: Arc<Self>, call: Call, _: SignOutRequest) -> Answer<SignOutResponse> {
        self.identity
            .sign_out(&call.caller, UnixMillis::now())
            .await?;
        Ok(SignOutResponse {})
    }

    async fn get_me(self: Arc<Self>, call: Call, _: GetMeRequest) -> Answer<GetMeResponse> {
        let user = self.identity.user(&call.caller, call.caller.user)?;
        Ok(GetMeResponse {
            user: Some(shown(&user)),
        })
    }

    async fn change_password(
        self: Arc<Self>,
        call: Call,
        request: ChangePasswordRequest,
    ) -> Answer<ChangePasswordResponse> {
        let (now, client) = (UnixMillis::now(), client(call.address));
        let (present, new) = (request.present, request.new);
        self.identity
            .change_password(&call.caller, now, present, new, client)
            .await?;
        Ok(ChangePasswordResponse {})
    }

    async fn begin_totp(
        self: Arc<Self>,
        call: Call,
        request: BeginTotpRequest,
    ) -> Answer<BeginTotpResponse> {
        let (now, client) = (UnixMillis::now(), client(call.address));
        let begun = self
            .identity
            .begin_totp(&call.caller, now, request.password, client)
            .await?;
        Ok(BeginTotpResponse {
            secret: begun.secret,
            url: begun.url,
        })
    }

    async fn confirm_totp(
        self: Arc<Self>,
        call: Call,
        request: ConfirmTotpRequest,
    ) -> Answer<ConfirmTotpResponse> {
        let recovery_codes = self
            .identity
            .confirm_totp(&call.caller, UnixMillis::now(), &request.code)
            .await?;
        Ok(ConfirmTotpResponse { recovery_codes })
    }

    async fn renew_recovery_codes(
        self: Arc<Self>,
        call: Call,
        request: RenewRecoveryCodesRequest,
    ) -> Answer<RenewRecoveryCodesResponse> {
        let (now, client) = (UnixMillis::now(), client(call.address));
        let recovery_codes = self
            .identity
            .renew_recovery_codes(&call.caller, now, request.password, &request.code, client)
            .await?;
        Ok(RenewRecoveryCodesResponse { recovery_codes })
    }

    async fn disable_totp(
        self: Arc<Self>,
        call: Call,
        request: DisableTotpRequest,
    ) -> Answer<DisableTotpResponse> {
        let (now, client) = (UnixMillis::now(), client(call.address));
        self.identity
            .disable_totp(&call.caller, now, request.password, &request.code, client)
            .await?;
        Ok(DisableTotpResponse {})
    }
}

impl Platform {
    fn oidc(&self) -> Result<&Oidc, ServiceError> {
        self.oidc.as_ref().ok_or_else(|| {
            let detail = "this platform has no OpenID provider: its settings have no [oidc]";
            ServiceError::new(ErrorKind::NotFound, "oidc_not_set_up", detail)
        })
    }
}

const fn client(address: std::net::IpAddr) -> ClientInfo {
    ClientInfo { address }
}

/// What a provider says, in this platform's words. A new user sees all hosts: which of them it is to
/// see is an administrator's to say, and stays as it was said.
fn external_user(external: ExternalIdentity) -> ExternalUser {
    let role = |role| match role {
        RoleSetting::Viewer => Role::Viewer,
        RoleSetting::Operator => Role::Operator,
        RoleSetting::Admin => Role::Admin,
    };
    ExternalUser {
        issuer: external.issuer,
        subject: external.subject,
        wished_name: external.wished_name,
        provision: external.create.map(|create| Access {
            role: role(create),
            grants: Grants::All,
        }),
        role: external.role.map(role),
    }
}

fn tokens(signed_in: SignedIn) -> Tokens {
    Tokens {
        user: Some(shown(&signed_in.user)),
        access_token: signed_in.access_token,
        access_expires_at: Some(signed_in.access_expires.into()),
        refresh_token: signed_in.refresh_token,
        refresh_expires_at: Some(signed_in.refresh_expires.into()),
    }
}
