using System.Text;
using CutoffLen.Checkpoints;
using CutoffLen.Common;
using CutoffLen.Configuration;
using CutoffLen.Runs;

namespace CutoffLen.Tests.Hub;

/// <summary>Names of models and data, and what the hub answers to them.</summary>
public sealed class HubFilesTests : HubFixture
{
    [Fact]
    public void A_model_is_downloaded_into_the_layout_of_the_cache_and_found_there_afterwards()
    {
        AddModel();
        var path = Files().Model("org/tiny");
        Assert.Equal(folder[Snapshot], path);
        Assert.Equal(
            ["config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"],
            Directory.GetFiles(path).Select(Path.GetFileName).Order(StringComparer.Ordinal));
        foreach (var file in Directory.GetFiles(path))
        {
            var content = hub.Files[Path.GetFileName(file)];
            Assert.Equal($"../../blobs/{hub.EtagOf(content)}", new FileInfo(file).LinkTarget);
            Assert.Equal(content, File.ReadAllBytes(file));
        }

        Assert.Equal(LocalHub.Commit, File.ReadAllText(folder[$"{Repository}/refs/main"]));
        Assert.Empty(Directory.GetFiles(folder[$"{Repository}/blobs"], "*.incomplete"));
        using (var opened = ModelFolder.Open(path))
        {
            Assert.Equal("org/tiny", opened.Name);
        }

        hub.Requests.Clear();
        Assert.Equal(path, Files().Model("org/tiny"));
        Assert.Equal(path, Files(offline: true).Model($"org/tiny@{LocalHub.Commit}"));
        Assert.Empty(hub.Requests);

        // Another revision of the same commit: only its name is asked for.
        Assert.Equal(path, Files().Model("org/tiny@refs/pr/1"));
        Assert.Equal(["GET /api/models/org/tiny/revision/refs%2Fpr%2F1"], hub.Requests);
        Assert.Equal(LocalHub.Commit, File.ReadAllText(folder[$"{Repository}/refs/refs/pr/1"]));
    }

    [Fact]
    public void Settings_come_without_weights_and_of_weights_those_that_the_index_names()
    {
        AddModel(maxShardBytes: 4000);
        hub.Files["model-of-another-format.safetensors"] = [1];
        var path = Files().Model("org/tiny", weights: false);
        Assert.Empty(Directory.GetFiles(path, "*model*"));
        Assert.True(HuggingFaceCheckpoint.IsConfigurationAlone(path));

        var shards = hub.Files.Keys.Where(file => file.StartsWith("model-0", StringComparison.Ordinal)).ToList();
        Assert.True(shards.Count > 1);
        Assert.Equal(path, Files().Model("org/tiny"));
        Assert.Equal(
            shards.Append("model.safetensors.index.json").Order(StringComparer.Ordinal),
            Directory.GetFiles(path, "model*").Select(Path.GetFileName).Order(StringComparer.Ordinal));
        ModelFolder.Open(path).Dispose();

        File.Delete(Path.Combine(path, shards[1]));
        hub.Requests.Clear();
        Files().Model("org/tiny"); // the content is still in the cache
        Assert.DoesNotContain(hub.Requests, request => request.Contains("/cdn/", StringComparison.Ordinal));
        Assert.True(File.Exists(Path.Combine(path, shards[1])));
    }

    [Fact]
    public void A_folder_of_that_name_is_taken_and_other_paths_are_not_looked_up()
    {
        var here = Directory.GetCurrentDirectory();
        Directory.SetCurrentDirectory(folder.Root);
        try
        {
            Directory.CreateDirectory("org/tiny");
            Assert.Equal("org/tiny", Files().Model("org/tiny"));
            foreach (var path in new[] { "missing", "./org/other", "/org/other", "a/b/c", "org/other/", "../other", "org/a--b", "org/..", "a b/c", "org/tiny@", "org/tiny@../x" })
            {
                Assert.Equal(path, Files().Model(path));
            }

            Assert.Equal(["org/tiny/data.parquet"], Files().Data("org/tiny/data.parquet"));
        }
        finally
        {
            Directory.SetCurrentDirectory(here);
        }

        Assert.Empty(hub.Requests);
    }

    [Theory]
    [InlineData("org/tiny", null, "secret", "RepoNotFound", "has no such public model; a private one needs a token in HF_TOKEN")]
    [InlineData("org/tiny", "wrong", "secret", "RepoNotFound", "has no such model that the token given (HF_TOKEN) may read")]
    [InlineData("org/tiny", null, "secret", "GatedRepo", "the model is gated: accept its conditions at {0}org/tiny, and give your token in HF_TOKEN")]
    [InlineData("org/tiny", "wrong", "secret", "GatedRepo", "the model is gated: accept its conditions at {0}org/tiny; the token given may not read it yet")]
    [InlineData("org/tyni", null, null, "", "org/tyni: the hub at {0} has no such model")]
    [InlineData("org/tiny@v2", null, null, "", "org/tiny@v2: the model has no revision 'v2'")]
    public void A_refusal_is_said_in_words_with_both_readings_of_the_name(string name, string? token, string? needed, string code, string expected)
    {
        AddModel();
        (hub.Token, hub.Refusal) = (needed, code);
        var message = Assert.Throws<UserException>(() => Files(token).Model(name)).Message;
        Assert.StartsWith($"{name}: there is no such folder here; as a name on the hub: ", message);
        Assert.Contains(string.Format(null, expected, hub.Endpoint), message);
        Assert.False(Directory.Exists(folder[Repository]));
    }

    [Fact]
    public void The_token_goes_to_the_hub_and_not_where_it_redirects_to()
    {
        AddModel();
        hub.Token = "secret";
        ModelFolder.Open(Files("secret").Model("org/tiny")).Dispose();
    }

    [Fact]
    public void Pickled_weights_are_not_downloaded()
    {
        AddModel();
        hub.Files.Remove("model.safetensors");
        Assert.Contains("org/tiny has no model.safetensors, only pickled weights (pytorch_model.bin), which can run code", Refused("org/tiny"));
        Assert.DoesNotContain(hub.Requests, request => request.Contains(".bin", StringComparison.Ordinal));
    }

    [Fact]
    public void A_repository_of_other_files_is_no_model()
    {
        hub.Files["model-q4.gguf"] = [1];
        Assert.Contains("org/tiny has no config.json and no tokenizer: it is no model", Refused("org/tiny", weights: false));
    }

    [Fact]
    public void Offline_only_the_cache_is_read()
    {
        AddModel();
        Assert.Contains($"HF_HUB_OFFLINE is set, and the cache {folder["hub"]} does not have all of org/tiny", Refused("org/tiny", offline: true));
        Files().Model("org/tiny", weights: false);
        Assert.Contains("HF_HUB_OFFLINE", Refused("org/tiny", offline: true));
        Files(offline: true).Model("org/tiny", weights: false);
        Assert.Contains("HF_HUB_OFFLINE", Assert.Throws<UserException>(() => Files(offline: true).Data("hf:org/tiny/a.parquet")).Message);
    }

    [Fact]
    public void A_hub_that_is_not_one_or_not_there_is_said()
    {
        AddModel();
        var listing = Encoding.UTF8.GetString(hub.Listing());
        hub.Listing = () => "<html>"u8.ToArray();
        Assert.Contains("revision/main: not valid JSON", Refused("org/tiny"));
        hub.Listing = () => Encoding.UTF8.GetBytes(listing.Replace(LocalHub.Commit, "../.."));
        Assert.Contains("not the answer of a hub; is HF_ENDPOINT right?", Refused("org/tiny"));
        hub.Listing = () => Encoding.UTF8.GetBytes(listing.Replace("config.json", "../../config.json"));
        Assert.DoesNotContain("config.json", Directory.GetFiles(Files().Model("org/tiny", weights: false)).Select(Path.GetFileName));

        using var silence = new ManualResetEventSlim();
        hub.Before = _ => silence.Wait();
        var impatient = new HubFiles(Settings(hub) with { Timeout = TimeSpan.FromMilliseconds(200) });
        Assert.Contains("no answer in 0.2 s", Assert.Throws<UserException>(() => impatient.Model("org/tiny")).Message);
        silence.Set();
        hub.Dispose();
        Assert.Contains($"{hub.Endpoint}: the connection failed 2 times in a row: Connection refused", Refused("org/tiny"));
    }

    [Fact]
    public void Data_is_named_by_file_or_glob_and_a_configuration_keeps_the_commit()
    {
        using var data = new LocalHub("org/texts", isDataset: true);
        foreach (var name in new[] { "README.md", "en/a 1.jsonl", "en/b.jsonl", "fr/c.jsonl" })
        {
            data.Files[name] = Encoding.UTF8.GetBytes(name);
        }

        var files = new HubFiles(Settings(data));
        var snapshot = folder[$"hub/datasets--org--texts/snapshots/{LocalHub.Commit}"];
        Assert.Equal([$"{snapshot}/en/a 1.jsonl"], files.Data("hf:org/texts/en/a 1.jsonl"));
        Assert.Equal("../../../blobs/" + data.EtagOf(data.Files["en/a 1.jsonl"]), new FileInfo($"{snapshot}/en/a 1.jsonl").LinkTarget);
        Assert.Equal([$"{snapshot}/en/a 1.jsonl", $"{snapshot}/en/b.jsonl"], files.Data("hf:org/texts/en/*@main"));
        data.Requests.Clear();
        Assert.Equal([$"{snapshot}/en/b.jsonl"], files.Data("hf:org/texts/en/b.jsonl"));
        Assert.Empty(data.Requests);

        Assert.Contains("org/texts has no file en/d.jsonl (did you mean en/b.jsonl?)", Assert.Throws<UserException>(() => files.Data("hf:org/texts/en/d.jsonl")).Message);
        Assert.Contains("write hf:org/name/path", Assert.Throws<UserException>(() => files.Data("hf:org/texts")).Message);
        Assert.Contains("write hf:org/name/path", Assert.Throws<UserException>(() => files.Data("hf:org/texts/../x")).Message);

        var config = files.Localized(new RunConfig { Data = new() { Data = ["hf:org/texts/en/b.jsonl", folder.Root] } });
        Assert.Equal([$"{snapshot}/en/b.jsonl", folder.Root], config.Data.Data);
        Environment.SetEnvironmentVariable("HF_HUB_CACHE", folder["hub"]);
        try
        {
            Assert.Equal([$"hf:org/texts/en/b.jsonl@{LocalHub.Commit}", folder.Root], config.WithFullPaths().Data.Data);
        }
        finally
        {
            Environment.SetEnvironmentVariable("HF_HUB_CACHE", null);
        }

        Assert.Equal([$"{snapshot}/en/b.jsonl", folder.Root], config.WithFullPaths().Data.Data); // not in the default cache
    }
}
