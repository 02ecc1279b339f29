using CutoffLen.Runs;

namespace CutoffLen.Tests.Hub;

/// <summary>What comes over the connection: parts, checksums, progress.</summary>
public sealed class HubDownloadTests : HubFixture
{
    [Fact]
    public void Broken_connections_are_gone_on_with_from_where_they_broke()
    {
        AddModel();
        hub.Files.Remove("config.json", out var config);
        Files().Model("org/tiny", weights: false);
        hub.Files["config.json"] = config!;
        var etag = hub.EtagOf(hub.Files["model.safetensors"]);
        hub.Statuses.Enqueue(503);
        hub.BreakAfter.Enqueue(int.MaxValue); // config.json
        foreach (var bytes in new[] { 700, 0, 0, 500 })
        {
            hub.BreakAfter.Enqueue(bytes);
        }

        hub.Requests.Clear();
        var path = Files().Model("org/tiny");
        Assert.Equal(hub.Files["model.safetensors"], File.ReadAllBytes(Path.Combine(path, "model.safetensors")));
        Assert.Equal(
            [$"GET /cdn/{etag}", .. Enumerable.Repeat($"GET /cdn/{etag} from 700", 3), $"GET /cdn/{etag} from 1200"],
            hub.Requests.Where(request => request.StartsWith("GET /cdn/", StringComparison.Ordinal)));
    }

    [Fact]
    public void What_an_interrupted_download_left_is_gone_on_with()
    {
        AddModel();
        var content = hub.Files["model.safetensors"];
        using var stop = new CancellationTokenSource();
        hub.Before = path =>
        {
            if (path.Contains("/cdn/", StringComparison.Ordinal))
            {
                stop.Cancel(); // before the answer
            }
        };
        Assert.ThrowsAny<OperationCanceledException>(() => Files(stop: stop.Token).Model("org/tiny"));
        Assert.False(File.Exists(folder[$"{Snapshot}/model.safetensors"]));
        Assert.False(File.Exists(folder[$"{Repository}/refs/main"]));

        hub.Before = null;
        var part = folder[$"{Repository}/blobs/{hub.EtagOf(content)}.incomplete"];
        Assert.True(File.Exists(part));
        File.WriteAllBytes(part, content[..1234]);
        hub.Requests.Clear();
        var path = Files().Model("org/tiny");
        Assert.Equal(content, File.ReadAllBytes(Path.Combine(path, "model.safetensors")));
        Assert.Contains($"GET /cdn/{hub.EtagOf(content)} from 1234", hub.Requests);
        Assert.False(File.Exists(part));
    }

    [Fact]
    public void A_connection_that_keeps_breaking_is_said_and_what_came_is_kept()
    {
        AddModel();
        for (var n = 0; n < 50; n++)
        {
            hub.BreakAfter.Enqueue(0);
        }

        var message = Refused("org/tiny");
        Assert.StartsWith("org/tiny: there is no such folder here; as a name on the hub: ", message);
        Assert.Contains($"{hub.Endpoint}: the connection failed 6 times in a row", message);
        hub.BreakAfter.Clear();
        Files().Model("org/tiny");
    }

    [Fact]
    public void A_content_without_its_checksum_is_refused_and_nothing_of_it_stays()
    {
        AddModel();
        hub.Altered = bytes => [.. bytes[..10], (byte)(bytes[10] ^ 1), .. bytes[11..]];
        foreach (var weights in new[] { true, false })
        {
            Assert.Contains("do not have the checksum", Refused("org/tiny", weights));
            Assert.DoesNotContain(Directory.GetFiles(folder[$"{Repository}/blobs"]), file => !file.EndsWith(".incomplete", StringComparison.Ordinal));
            Assert.False(Directory.Exists(folder[Snapshot]));
        }

        hub.Altered = bytes => [.. bytes, 0];
        Assert.Contains("more comes than the", Refused("org/tiny"));

        // A part that another program left, of other bytes: the content is fetched from its beginning.
        hub.Altered = bytes => bytes;
        Directory.Delete(folder[Repository], recursive: true);
        var content = hub.Files["model.safetensors"];
        folder.Write($"{Repository}/blobs/{hub.EtagOf(content)}.incomplete", new byte[100]);
        Assert.Equal(content, File.ReadAllBytes(Path.Combine(Files().Model("org/tiny"), "model.safetensors")));
    }

    [Fact]
    public void Of_two_downloads_at_once_one_fetches_and_the_other_waits()
    {
        AddModel();
        Parallel.Invoke(() => Files().Model("org/tiny"), () => Files().Model("org/tiny"));
        var downloads = hub.Requests.Where(request => request.StartsWith("GET", StringComparison.Ordinal) && !request.Contains("/api/", StringComparison.Ordinal)).ToList();
        Assert.Equal(downloads.Distinct().Order(), downloads.Order());
        Assert.NotEmpty(Directory.GetFiles(folder["hub/.locks/models--org--tiny"], "*.lock"));
    }

    [Fact]
    public void Downloads_report_their_bytes()
    {
        AddModel();
        var seen = new List<(string Title, double Share)>();
        Files(display: new RunProgress((title, share, _) => seen.Add((title, share)))).Model("org/tiny");
        Assert.Equal(["download org/tiny, MB"], seen.Select(step => step.Title).Distinct());
        Assert.Equal([1.0, 1.0], seen.Where(step => step.Share >= 1).Select(step => Math.Round(step.Share, 9))); // settings, weights
    }

    [Theory]
    [InlineData(false, true)] // a part of other bytes
    [InlineData(true, false)] // a hub that sends no parts
    public void Progress_does_not_step_back_where_a_file_comes_from_its_beginning_again(bool isRightPart, bool sendsParts)
    {
        AddModel();
        Files().Model("org/tiny", weights: false);
        var content = hub.Files["model.safetensors"];
        folder.Write($"{Repository}/blobs/{hub.EtagOf(content)}.incomplete", isRightPart ? content[..1234] : new byte[1234]);
        hub.SendsParts = sendsParts;
        var shares = new List<double>();
        var path = Files(display: new RunProgress((_, share, _) => shares.Add(share))).Model("org/tiny");
        Assert.Equal(content, File.ReadAllBytes(Path.Combine(path, "model.safetensors")));
        Assert.Equal(shares.Distinct().Order(), shares);
        Assert.Equal(1234.0 / content.Length, shares[0], 9);
        Assert.Equal(1, shares[^1], 9);
    }
}
