// SaveLoop FOLDER: saves checkpoint 1, 2, 3, ... to the folder until it is killed. Every weight of number n is n, and so
// is config.json's initializer_range. Writes "begin n" and "done n" around each save.
using CutoffLen.Checkpoints;
using CutoffLen.Models.Llama;
using static TorchSharp.torch;

var config = new LlamaConfig
{
    VocabSize = 4000, HiddenSize = 256, IntermediateSize = 1024, NumHiddenLayers = 4, NumAttentionHeads = 4,
    NumKeyValueHeads = 4, HeadDim = 64, MaxPositionEmbeddings = 64,
};
for (var n = 1; ; n++)
{
    using var scope = NewDisposeScope();
    var weights = LlamaParameters.Of(config).Select(parameter => (parameter.Name, full(parameter.Shape, (float)n))).ToList();
    Console.WriteLine($"begin {n}");
    CheckpointWriter.Save(args[0], config with { InitializerRange = n }, weights, ScalarType.BFloat16, maxShardBytes: 4_000_000);
    Console.WriteLine($"done {n}");
}
