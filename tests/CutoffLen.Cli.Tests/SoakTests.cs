using CutoffLen.Soak.Files;
using CutoffLen.Soak.Kills;
using CutoffLen.Tokenization;

namespace CutoffLen.Cli.Tests;

/// <summary>Small counts of what scripts/soak does in great numbers.</summary>
public sealed class SoakTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public static TheoryData<string> Commands => [.. KillCampaign.Commands];

    public static TheoryData<string> Kinds => [.. FileCampaign.Kinds];

    public void Dispose() => folder.Dispose();

    [Theory]
    [MemberData(nameof(Commands))]
    public void Killed_at_random_moments_a_command_loses_nothing_and_ends_in_the_same_bits(string command)
    {
        using var campaign = new KillCampaign(command);
        var results = campaign.Run(kills: 3, seed: 7);
        Assert.Empty(results.Faults);
        Assert.Equal(3, results.Kills);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void A_damaged_file_is_read_to_its_values_or_refused_in_words(string kind)
    {
        const int files = 150;
        using var campaign = new FileCampaign(kind);
        var results = campaign.Run(Enumerable.Range(0, files));
        Assert.Empty(results.Faults);
        // Damage is found, but not all of it changes anything: one that always or never hits would test nothing.
        Assert.InRange(results.Loaded, 1, files * 3 / 4);
    }

    [Theory]
    [InlineData("model.safetensors")]
    [InlineData("model-00002-of-*.safetensors")]
    [InlineData("model.safetensors.index.json")]
    [InlineData("config.json")]
    [InlineData("tokenizer.model")]
    [InlineData("tokenizer_config.json")]
    public void The_program_names_a_file_that_was_cut_off_and_exits_1(string name)
    {
        folder.Write("model/tokenizer.model", File.ReadAllBytes(Golden.Path("tokenizers/sp-kept/tokenizer.model")));
        folder.Write("model/tokenizer_config.json", """{"add_bos_token":true,"bos_token":"<s>"}""");
        var config = TinyCheckpoint.Config with { VocabSize = CheckpointTokenizer.Open(folder["model"]).VocabularySize };
        TinyCheckpoint.Save(folder["made"], config, maxShardBytes: name == "model.safetensors" ? long.MaxValue : 20_000);
        foreach (var file in Directory.EnumerateFiles(folder["made"]))
        {
            File.Move(file, folder[$"model/{Path.GetFileName(file)}"]);
        }

        var path = Directory.GetFiles(folder["model"], name).Single();
        File.WriteAllBytes(path, File.ReadAllBytes(path)[..^7]);
        var result = Cutoff.Run("inspect", folder["model"]).Exits(1);
        Assert.Empty(result.Output);
        Assert.StartsWith($"cutoff: {path}: ", result.Error);
        Assert.DoesNotContain("   at ", result.Error);
    }
}
