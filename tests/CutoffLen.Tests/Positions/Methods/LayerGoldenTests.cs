using System.Text.Json.Nodes;
using CutoffLen.Checkpoints;
using CutoffLen.Models.Attention;
using CutoffLen.Models.Llama;
using CutoffLen.Positions;
using CutoffLen.Positions.Methods;
using static TorchSharp.torch;

namespace CutoffLen.Tests.Positions.Methods;

/// <summary>
/// Losses of whole checkpoints whose layers differ, and of the temperature, against a float64 forward pass outside the project.
/// </summary>
public sealed class LayerGoldenTests
{
    private const string Folder = "tiny-random-llama";
    private const double Tolerance = 1e-3; // other layers' methods move losses by more than 1

    private static readonly JsonArray Entries = JsonNode.Parse(File.ReadAllText(Golden.Path($"{Folder}/layers.json")))!["cases"]!.AsArray();

    public static TheoryData<string> Cases => [.. Entries.Select(entry => (string)entry!["case"]!)];

    [Theory]
    [MemberData(nameof(Cases))]
    public void Losses_match(string name)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var golden = Entries.Single(entry => (string)entry!["case"]! == name)!;
        using var folder = new TemporaryFolder();
        File.Copy(Golden.Path($"{Folder}/model.safetensors"), folder["model.safetensors"]);
        var config = JsonNode.Parse(File.ReadAllText(Golden.Path($"{Folder}/config.json")))!.AsObject();
        var edits = golden["config"]!.AsObject();
        foreach (var (key, value) in edits)
        {
            config[key] = value?.DeepClone();
        }

        folder.Write("config.json", config.ToJsonString());
        using var checkpoint = HuggingFaceCheckpoint.Open(folder.Root);
        var model = checkpoint.Load(dtype: ScalarType.Float32);
        var spec = (string)golden["spec"]!;
        // Where config.json says it, config.json is read.
        var setup = model.Config.SetupFor(PositionMethods.Parse(edits.Count == 0 ? spec : "auto"), 256);
        Assert.Equal(spec, setup.Spec.ToString());

        var ids = JsonNode.Parse(File.ReadAllText(Golden.Path($"{Folder}/tokens.json")))!["input_ids"]!.AsArray().Select(id => (long)id!).ToArray();
        var tokens = tensor(ids);
        foreach (var path in Enum.GetValues<AttentionPath>())
        {
            using var plans = AttentionPlans.Create(setup.Layers, TokenPositions.Sequential(ids.Length), model.Config, CPU, path);
            var hidden = model.Hidden(tokens.view(1, -1), plans)[0];
            var nll = TokenLikelihood.NegativeLog(model, hidden.narrow(0, 0, ids.Length - 1), tokens.narrow(0, 1, ids.Length - 1)).data<float>().ToArray();
            var away = golden["nll"]!.AsArray().Zip(nll, (expected, actual) => Math.Abs((double)expected! - actual)).Max();
            Assert.True(away < Tolerance, $"{path}: {away} away");
        }
    }
}
