using CutoffLen.Common;
using CutoffLen.Hub;

namespace CutoffLen.Tests.Hub;

public sealed class HubSettingsTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData("/u/.cache/huggingface/hub")]
    [InlineData("/x/huggingface/hub", "XDG_CACHE_HOME=/x")]
    [InlineData("/h/hub", "HF_HOME=/h", "XDG_CACHE_HOME=/x")]
    [InlineData("/u/h/hub", "HF_HOME=~/h")]
    [InlineData("/c", "HF_HUB_CACHE=/c", "HUGGINGFACE_HUB_CACHE=/old", "HF_HOME=/h")]
    [InlineData("/old", "HUGGINGFACE_HUB_CACHE=/old", "HF_HOME=/h")]
    public void The_cache_is_where_huggingface_hub_has_it(string expected, params string[] variables) =>
        Assert.Equal(expected, Of(variables).CacheFolder);

    [Theory]
    [InlineData(true, "HF_HUB_OFFLINE=1")]
    [InlineData(true, "HF_HUB_OFFLINE=True")]
    [InlineData(false, "HF_HUB_OFFLINE=0")]
    [InlineData(false, "HF_HUB_OFFLINE=")]
    public void Offline_is_a_flag(bool expected, string variable) => Assert.Equal(expected, Of(variable).IsOffline);

    [Fact]
    public void The_token_is_the_variable_or_in_the_home()
    {
        var home = $"HF_HOME={folder.Root}";
        Assert.Null(Of(home).Token);
        folder.Write("token", "hf_kept\n");
        Assert.Equal("hf_kept", Of(home).Token);
        Assert.Equal("hf_given", Of(home, "HF_TOKEN= hf_given ").Token);
        folder.Write("elsewhere", "hf_else");
        Assert.Equal("hf_else", Of(home, $"HF_TOKEN_PATH={folder["elsewhere"]}").Token);
    }

    [Fact]
    public void The_endpoint_and_the_timeout_must_be_ones()
    {
        Assert.Equal("https://huggingface.co/", Of().Endpoint.ToString());
        Assert.Equal("https://mirror.example/hf/", Of("HF_ENDPOINT=https://mirror.example/hf").Endpoint.ToString());
        Assert.Equal(TimeSpan.FromSeconds(2.5), Of("HF_HUB_DOWNLOAD_TIMEOUT=2.5").Timeout);
        Assert.Contains("HF_ENDPOINT 'mirror.example'", Assert.Throws<UserException>(() => Of("HF_ENDPOINT=mirror.example")).Message);
        Assert.Contains("HF_HUB_DOWNLOAD_TIMEOUT 'soon'", Assert.Throws<UserException>(() => Of("HF_HUB_DOWNLOAD_TIMEOUT=soon")).Message);
    }

    private static HubSettings Of(params string[] variables)
    {
        var values = variables.Append("HOME=/u").Select(text => text.Split('=', 2)).ToDictionary(pair => pair[0], pair => pair[1]);
        return HubSettings.FromEnvironment(values.GetValueOrDefault);
    }
}
